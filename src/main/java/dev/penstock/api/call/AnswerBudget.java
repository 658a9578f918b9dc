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
 * Limits the total memory of the answers that callers have not read yet. A call takes its share of the memory before it
 * reads its answer from the ledger or from a topic. It gives the share back when the answer is written or the
 * connection is closed.
 *
 * <p>This bean has a filter, and Quarkus creates a bean with a filter while it builds the native executable. The scope
 * {@code ApplicationScoped} creates only a proxy at that time. So the heap is measured at the first call, and not
 * during the build.
 */
@ApplicationScoped
public class AnswerBudget {
    /**
     * The number of copies of an answer in memory: one as it was read, one as it is sent, and one in the database's
     * driver during the read.
     */
    public static final int COPIES = 3;

    /** The memory for one row of a list, with the most metadata that a job may have. */
    public static final int ROW = 32 << 10;

    private static final int HEAP_SHARE = 16;
    private static final int UNIT = 1 << 10;
    /** A document up to this size needs no share. Every call takes about as much memory anyway. */
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

    /** @param patience how long a call waits until other calls give back their shares */
    AnswerBudget(long bytes, Duration patience) {
        all = Math.clamp(bytes / UNIT, 1, Integer.MAX_VALUE);
        free = new Semaphore(all);
        this.patience = patience;
    }

    /** A source of memory. A caller takes memory for a value before it reads the value. */
    public interface Room {
        /** @return false if the memory is not available now */
        boolean take(long bytes) throws InterruptedException;
    }

    public static ApiException full() {
        return new ApiException(FULL);
    }

    /** Returns the share of a call. The call gives the share back at its end. */
    public Share share(RoutingContext call) {
        if (call.get(SHARE) instanceof Share share) {
            return share;
        }
        Share share = new Share();
        call.put(SHARE, share);
        CallEnd.then(call, share::giveBack);
        return share;
    }

    /** Returns a share that belongs to no call. */
    Share share() {
        return new Share();
    }

    /** The share of one call. Only one thread at a time may take memory; any thread may give it back. */
    public final class Share implements Room {
        private final AtomicInteger held = new AtomicInteger();
        private volatile boolean over;

        private Share() {}

        /** Raises the share to this number of bytes, as soon as the memory is available. */
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

        /** Like {@link #take}, but refuses the call if no memory is available. */
        public void mustTake(long bytes) throws InterruptedException {
            if (!take(bytes)) {
                throw full();
            }
        }

        /** Lowers the share to the true number of bytes. */
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

    /** Converts bytes to units. An answer that is larger than the whole budget takes the whole budget. */
    private int units(long bytes) {
        return (int) Math.min(all, (bytes + UNIT - 1) / UNIT);
    }

    /** Returns the number of bytes that no call holds. Only tests use it. */
    long free() {
        return (long) free.availablePermits() * UNIT;
    }

    /**
     * Adjusts a call's share to the size of its document, before the document is written. A GET with a large document
     * is refused if there is no memory for it. A call with another method is answered anyway, because it may have
     * changed something.
     */
    @ServerResponseFilter
    void weigh(ContainerResponseContext answer, RoutingContext call) throws InterruptedException {
        if (answer.getEntity() instanceof JsonNode document) {
            Share share = share(call);
            long size = size(document);
            boolean reads = call.request().method().equals(HttpMethod.GET);
            // does not wait, because errors are answered on the event loop
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

    /** Sends a document that comes from no resource. Answers with an error if no memory is available now. */
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

    /** Returns the approximate memory of a document. */
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
