package dev.penstock.api.call;

import dev.penstock.api.connection.CallEnd;
import dev.penstock.job.JobFailure;
import dev.penstock.reply.LiveReplies;
import dev.penstock.settings.Settings;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jboss.logging.Logger;

/**
 * Limits the number of open event streams. If a new stream would exceed the limit, the stream whose caller has read
 * nothing for the longest time is closed. If no stream is stalled, the new stream is refused.
 */
@Singleton
public final class StreamPlaces {
    private static final Logger LOG = Logger.getLogger(StreamPlaces.class);
    /** A stream that has been behind for a shorter time is not stalled. */
    private static final Duration STALLED = Duration.ofSeconds(1);

    /**
     * Logs the failure of a stream. RESTEasy's own log line for it is off, because RESTEasy also writes that line when
     * a caller leaves.
     */
    public static final Consumer<Throwable> FAILED = e -> LOG.error("an event stream failed", e);

    private final int most;
    private final Predicate<Duration> makeRoom;
    private final AtomicInteger open = new AtomicInteger();

    @Inject
    StreamPlaces(Settings settings, LiveReplies replies) {
        this(settings.api().streams(), replies::dropStalled);
    }

    /** @param makeRoom closes a stream that was stalled for at least the given time; false if there is none */
    StreamPlaces(int most, Predicate<Duration> makeRoom) {
        this.most = most;
        this.makeRoom = makeRoom;
    }

    /** The place of one open stream. */
    final class Place {
        private final AtomicBoolean given = new AtomicBoolean();

        void giveBack() {
            if (given.compareAndSet(false, true)) {
                open.decrementAndGet();
            }
        }
    }

    /** Takes a place before any work is done for a stream. If there is no place, the stream is refused. */
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
    public interface Opening<T> {
        T open() throws InterruptedException;
    }

    /** Takes a place and opens the source. The place is given back when the call ends. */
    public <T> T opened(RoutingContext call, Opening<T> opening) throws InterruptedException {
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
}
