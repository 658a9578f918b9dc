package dev.penstock.api.call;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.POJONode;
import com.fasterxml.jackson.databind.util.RawValue;
import dev.penstock.api.connection.CallEnd;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.document.ErrorDocument;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import jakarta.ws.rs.container.ContainerResponseContext;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jboss.resteasy.reactive.server.ServerResponseFilter;

/**
 * Limits the memory that the answers of all calls take together until their callers have read them. A call takes its
 * share before its answer is read from the ledger or from a topic. It gives the share back when the answer is written,
 * or when the connection is closed.
 *
 * <p>It has a filter, and a filter is made while the executable is built. So it is no singleton: it measures the heap at
 * its first call.
 */
@ApplicationScoped
public class AnswerBudget {
    /** An answer is in memory as it was read, and as it is sent; while it is read, the database's driver has it too. */
    public static final int COPIES = 3;

    /** One row of a list, with all the metadata that a job may have. */
    public static final int ROW = 32 << 10;

    private static final int HEAP_SHARE = 16;
    private static final int UNIT = 1 << 10;
    /** A call without an answer takes about as much. */
    private static final int SMALL = 16 << 10;

    private static final int NODE = 64;
    private static final int CHARACTER = 2;
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final String SHARE = AnswerBudget.class.getName();
    public static final JobFailure FULL = JobFailure.of(
            JobFailure.Code.BROKER_UNAVAILABLE,
            "the answers of the calls under way take all the memory there is for them: ask again in a moment");

    private final Semaphore free;
    private final int all;
    private final Duration patience;

    @Inject
    AnswerBudget() {
        this(Runtime.getRuntime().maxMemory() / HEAP_SHARE, PATIENCE);
    }

    /** @param patience how long a call waits for others to give back their shares */
    AnswerBudget(long bytes, Duration patience) {
        all = Math.clamp(bytes / UNIT, 1, Integer.MAX_VALUE);
        free = new Semaphore(all);
        this.patience = patience;
    }

    /** Takes memory before something is read. */
    public interface Room {
        /** @return false: there is none now */
        boolean take(long bytes) throws InterruptedException;
    }

    public static ApiException full() {
        return new ApiException(FULL);
    }

    /** The share of a call; the call gives it back at its end. */
    public Share share(RoutingContext call) {
        if (call.get(SHARE) instanceof Share share) {
            return share;
        }
        Share share = new Share();
        call.put(SHARE, share);
        CallEnd.then(call, share::giveBack);
        return share;
    }

    /** A share that no call holds. */
    Share share() {
        return new Share();
    }

    /** The share of one call, up to a maximum. One thread after the other may take; any thread may give back. */
    public final class Share implements Room {
        private final AtomicInteger held = new AtomicInteger();
        private volatile boolean over;

        private Share() {}

        /** Takes the difference up to so many bytes, as soon as it is available. */
        @Override
        public boolean take(long bytes) throws InterruptedException {
            return take(bytes, patience);
        }

        private boolean take(long bytes, Duration wait) throws InterruptedException {
            int more = units(bytes) - held.get();
            if (more > 0) {
                if (!free.tryAcquire(more, wait.toNanos(), TimeUnit.NANOSECONDS)) {
                    return false;
                }
                held.addAndGet(more);
                if (over) {
                    giveBack();
                }
            }
            return true;
        }

        /** As {@link #take}; where no memory is available the call is refused. */
        public void mustTake(long bytes) throws InterruptedException {
            if (!take(bytes)) {
                throw full();
            }
        }

        /** Corrects the share to the true number of bytes. */
        private void settle(long bytes) {
            int now = held.get();
            int less = now - units(bytes);
            if (less > 0 && held.compareAndSet(now, now - less)) {
                free.release(less);
            }
        }

        void giveBack() {
            over = true;
            free.release(held.getAndSet(0));
        }
    }

    /** An answer that is larger than the whole budget takes the whole budget. */
    private int units(long bytes) {
        return (int) Math.min(all, (bytes + UNIT - 1) / UNIT);
    }

    /** The bytes that no call holds, for a test. */
    long free() {
        return (long) free.availablePermits() * UNIT;
    }

    /**
     * Each document that is about to be written takes its size. A call that has changed something is answered anyway.
     */
    @ServerResponseFilter
    void weigh(ContainerResponseContext answer, RoutingContext call) throws InterruptedException {
        if (answer.getEntity() instanceof JsonNode document) {
            Share share = share(call);
            long size = size(document);
            boolean reads = call.request().method().equals(HttpMethod.GET);
            // on the event loop, for an error: it waits for nothing
            if (reads && size > SMALL && !share.take(size, Duration.ZERO)) {
                answer.setStatus(FULL.code().httpStatus());
                answer.getHeaders().putSingle("Retry-After", "2");
                answer.setEntity(ErrorDocument.of(FULL));
                share.settle(0);
            } else {
                share.settle(size);
            }
        }
    }

    /** Sends a document that is not a resource's; without waiting for memory. */
    public void send(RoutingContext call, Buffer document) {
        try {
            if (share(call).take(document.length(), Duration.ZERO)) {
                var _ = call.response().end(document);
                return;
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        BodyBudget.refuse(call, FULL);
    }

    /** The approximate memory of a document. */
    static long size(JsonNode document) {
        if (document instanceof POJONode node) {
            return NODE
                    + (node.getPojo() instanceof RawValue raw && raw.rawValue() instanceof String text
                            ? (long) CHARACTER * text.length()
                            : 0);
        }
        if (document.isTextual()) {
            return NODE + (long) CHARACTER * document.textValue().length();
        }
        long size = NODE;
        for (JsonNode child : document) {
            size += size(child);
        }
        return size;
    }
}
