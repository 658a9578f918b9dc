package dev.penstock.api;

import dev.penstock.job.JobFailure;
import dev.penstock.reply.LiveReplies;
import dev.penstock.reply.Watch;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.ErrorDocument;
import io.smallrye.mutiny.Multi;
import io.smallrye.mutiny.Uni;
import io.smallrye.mutiny.unchecked.Unchecked;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import jakarta.ws.rs.sse.OutboundSseEvent;
import jakarta.ws.rs.sse.Sse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jboss.logging.Logger;

/**
 * Job events as server-sent events: {@code event:} its name, {@code data:} the event, {@code id:} where to resume. The
 * number of open streams is limited. Where one more comes, the one that has read nothing for the longest time loses its
 * place.
 */
@Singleton
public final class EventStreams {
    private static final Logger LOG = Logger.getLogger(EventStreams.class);
    /** A stream that is behind for less than this is not stalled. */
    private static final Duration STALLED = Duration.ofSeconds(1);

    private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);
    private static final Executor VIRTUAL =
            task -> Thread.ofVirtual().name("events").start(task);

    /** RESTEasy's own line is off: it cannot distinguish this from a caller that has left. */
    static final Consumer<Throwable> FAILED = e -> LOG.error("an event stream failed", e);

    private final int most;
    private final Predicate<Duration> makeRoom;
    private final AtomicInteger open = new AtomicInteger();

    @Inject
    EventStreams(Settings settings, LiveReplies replies) {
        this(settings.api().streams(), replies::dropStalled);
    }

    /** @param makeRoom ends a stream that has read nothing for so long; false: there is none */
    EventStreams(int most, Predicate<Duration> makeRoom) {
        this.most = most;
        this.makeRoom = makeRoom;
    }

    /** Takes a place for one more stream. */
    final class Place {
        private final AtomicBoolean given = new AtomicBoolean();

        void giveBack() {
            if (given.compareAndSet(false, true)) {
                open.decrementAndGet();
            }
        }
    }

    /** Before anything is done for a stream: a stream without a place is refused. */
    Place take() {
        if (open.incrementAndGet() > most && !makeRoom.test(STALLED)) {
            open.decrementAndGet();
            throw new ApiException(JobFailure.of(
                    JobFailure.Code.BROKER_UNAVAILABLE,
                    "%d event streams are open, as many as there may be (penstock.api.max-streams): ask again in a moment"
                            .formatted(most)));
        }
        return new Place();
    }

    /** Opens the source of a stream. */
    interface Opening<T> {
        T open() throws InterruptedException;
    }

    /** Takes a place, which is given back when the call ends, and opens the source. */
    <T> T opened(RoutingContext call, Opening<T> opening) throws InterruptedException {
        Place place = take();
        CallEnd.then(call, place::giveBack);
        boolean opened = false;
        try {
            T what = opening.open();
            opened = true;
            return what;
        } finally {
            if (!opened) {
                place.giveBack();
            }
        }
    }

    /** The events of a job, while there is a place for one more stream. */
    Multi<OutboundSseEvent> of(RoutingContext call, Sse sse, Opening<Watch> opening) throws InterruptedException {
        Watch watch = opened(call, opening);
        watch.whenDropped(() -> Calls.cut(call));
        return of(watch, sse);
    }

    /**
     * Streams a watch to its end, or until the client leaves; then the watch is closed. The next event is taken when
     * the one before it is written, so that a client that does not read stops only its own watch. A sink of JAX-RS
     * would do without Mutiny, but races with the return of the call that got it ("Response head already sent", Quarkus
     * 3.34.1).
     */
    private static Multi<OutboundSseEvent> of(Watch watch, Sse sse) {
        Pending pending = new Pending(watch, sse);
        return Multi.createBy()
                .repeating()
                .uni(() ->
                        Uni.createFrom().item(Unchecked.supplier(pending::next)).runSubscriptionOn(VIRTUAL))
                .until(Optional::isEmpty)
                .map(Optional::orElseThrow)
                .onFailure()
                .invoke(FAILED)
                .onTermination()
                .invoke(watch::close);
    }

    /** The rest of a stream. Used by one thread after the other. */
    private static final class Pending {
        private final Watch watch;
        private final Sse sse;
        private boolean greeted;
        private boolean failed;

        Pending(Watch watch, Sse sse) {
            this.watch = watch;
            this.sse = sse;
        }

        /** @return empty: there is no more */
        Optional<OutboundSseEvent> next() throws InterruptedException {
            if (!greeted) {
                greeted = true;
                return Optional.of(comment("penstock"));
            }
            return switch (watch.next(KEEP_ALIVE)) {
                case Watch.Next.Event event ->
                    Optional.of(sse.newEventBuilder()
                            .id(event.resume().toString())
                            .name(event.mark().kind().wireName())
                            .data(new String(event.value().get(), StandardCharsets.UTF_8))
                            .build());
                case Watch.Next.Nothing() -> Optional.of(comment("keep-alive"));
                case Watch.Next.Failed failure
                when !failed -> {
                    failed = true;
                    yield Optional.of(sse.newEventBuilder()
                            .name("error")
                            .data(ErrorDocument.of(failure.failure()).toString())
                            .build());
                }
                case Watch.Next.Failed _, Watch.Next.Ended _, Watch.Next.TooSlow _ -> Optional.empty();
            };
        }

        private OutboundSseEvent comment(String text) {
            return sse.newEventBuilder().comment(text).build();
        }
    }
}
