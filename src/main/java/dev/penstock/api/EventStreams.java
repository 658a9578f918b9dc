package dev.penstock.api;

import dev.penstock.job.JobFailure;
import dev.penstock.reply.Watch;
import dev.penstock.wire.ErrorDocument;
import jakarta.inject.Singleton;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import jakarta.ws.rs.sse.SseEventSink;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletionException;

/** Job events as server-sent events: {@code event:} its name, {@code data:} the event, {@code id:} where to resume. */
@Singleton
public final class EventStreams {
    private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);
    private static final Duration LOOK_FOR_CLIENT = Duration.ofSeconds(1);

    /**
     * Serves a watch to its end, or until the client leaves, on a virtual thread of its own, and closes both: the call
     * itself has to return before its response may end.
     */
    void serve(Watch watch, SseEventSink sink, Sse sse) {
        Thread.ofVirtual().name("events-" + watch.id()).start(() -> {
            try (watch) {
                send(watch, sink, sse);
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
    }

    private static void send(Watch watch, SseEventSink sink, Sse sse) throws InterruptedException {
        try (sink) {
            sink.send(comment(sse, "penstock")).toCompletableFuture().join();
            long silentSince = System.nanoTime();
            while (!sink.isClosed()) {
                switch (watch.next(LOOK_FOR_CLIENT)) {
                    case Watch.Next.Event event -> {
                        sink.send(event(sse, event)).toCompletableFuture().join();
                        silentSince = System.nanoTime();
                    }
                    case Watch.Next.Nothing() -> {
                        if (System.nanoTime() - silentSince >= KEEP_ALIVE.toNanos()) {
                            sink.send(comment(sse, "keep-alive"))
                                    .toCompletableFuture()
                                    .join();
                            silentSince = System.nanoTime();
                        }
                    }
                    case Watch.Next.Failed(JobFailure failure) -> {
                        sink.send(sse.newEventBuilder()
                                        .name("error")
                                        .data(ErrorDocument.of(failure).toString())
                                        .build())
                                .toCompletableFuture()
                                .join();
                        return;
                    }
                    case Watch.Next.Ended(), Watch.Next.TooSlow() -> {
                        return;
                    }
                }
            }
        } catch (CompletionException | IllegalStateException _) {
            // the client has left; it resumes where it wants
        }
    }

    private static OutboundSseEvent comment(Sse sse, String text) {
        return sse.newEventBuilder().comment(text).build();
    }

    private static OutboundSseEvent event(Sse sse, Watch.Next.Event event) {
        return sse.newEventBuilder()
                .id(event.resume().toString())
                .name(event.mark().kind().wireName())
                .data(new String(event.value().get(), StandardCharsets.UTF_8))
                .build();
    }
}
