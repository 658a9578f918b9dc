package dev.penstock.api.admin;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.StreamPlaces;
import dev.penstock.job.JobFailure;
import dev.penstock.node.models.ModelTransfer;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.ErrorDocument;
import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.unchecked.Unchecked;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.Optional;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * Sends the progress of model transfers as server-sent events: {@code progress}, then {@code done} or {@code failed}
 * for each node.
 */
final class TransferStreams {
    private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);
    private static final Duration TURN = Duration.ofMillis(200);
    private static final Executor VIRTUAL =
            task -> Thread.ofVirtual().name("transfer").start(task);

    private TransferStreams() {}

    /**
     * Streams the progress until all transfers have ended or the client leaves. If the client leaves, the transfers
     * continue.
     */
    static Multi<OutboundSseEvent> of(
            String model, Collection<ModelTransfer.Watch> watches, Collection<JobFailure> refusals, Sse sse) {
        Pending pending = new Pending(model, watches, refusals, sse);
        return Multi.createBy()
                .repeating()
                .uni(() ->
                        Uni.createFrom().item(Unchecked.supplier(pending::next)).runSubscriptionOn(VIRTUAL))
                .until(Optional::isEmpty)
                .map(Optional::orElseThrow)
                .onFailure()
                .invoke(StreamPlaces.FAILED);
    }

    /** The events that are not sent yet. Only one thread at a time uses it. */
    private static final class Pending {
        private final String model;
        private final Deque<ModelTransfer.Watch> watches;
        private final Deque<JobFailure> refusals;
        private final Sse sse;
        private long spokenAt = System.nanoTime();

        Pending(String model, Collection<ModelTransfer.Watch> watches, Collection<JobFailure> refusals, Sse sse) {
            this.model = model;
            this.watches = new ArrayDeque<>(watches);
            this.refusals = new ArrayDeque<>(refusals);
            this.sse = sse;
        }

        /** @return the next event; empty if there are no more events */
        Optional<OutboundSseEvent> next() throws InterruptedException {
            JobFailure refusal = refusals.poll();
            if (refusal != null) {
                return Optional.of(event("failed", failed(refusal.node(), refusal)));
            }
            while (!watches.isEmpty()) {
                ModelTransfer.Watch watch = watches.removeFirst();
                String node = watch.transfer().node();
                switch (watch.next(TURN)) {
                    case null -> {
                        watches.addLast(watch);
                        if (System.nanoTime() - spokenAt > KEEP_ALIVE.toNanos()) {
                            spokenAt = System.nanoTime();
                            return Optional.of(
                                    sse.newEventBuilder().comment("keep-alive").build());
                        }
                    }
                    case ModelTransfer.State.Running running -> {
                        watches.addLast(watch);
                        return Optional.of(event(
                                "progress",
                                about(node)
                                        .put("status", running.status())
                                        .put("percent", running.percent())
                                        .put("completed", running.completed())
                                        .put("total", running.total())));
                    }
                    case ModelTransfer.State.Done() -> {
                        return Optional.of(event(
                                "done", about(node).put("status", "success").put("percent", 100.0)));
                    }
                    case ModelTransfer.State.Failed(JobFailure failure) -> {
                        return Optional.of(event("failed", failed(node, failure)));
                    }
                }
            }
            return Optional.empty();
        }

        private ObjectNode about(@Nullable String node) {
            return Json.mapper().createObjectNode().put("node", node).put("model", model);
        }

        private ObjectNode failed(@Nullable String node, JobFailure failure) {
            ObjectNode document = about(node);
            document.set("error", ErrorDocument.of(failure).get("error"));
            return document;
        }

        private OutboundSseEvent event(String name, ObjectNode data) {
            spokenAt = System.nanoTime();
            return sse.newEventBuilder().name(name).data(data.toString()).build();
        }
    }
}
