package dev.penstock.api;

import dev.penstock.job.JobFailure;
import dev.penstock.settings.Settings;
import dev.penstock.wire.ErrorDocument;
import dev.penstock.wire.Json;
import io.quarkus.runtime.configuration.MemorySize;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/**
 * Bounds what the bodies of all calls together take of memory: a call beyond it is refused before its body is read. A call
 * gives its share back at its end, or when its body is no longer needed.
 */
@Singleton
final class BodyBudget {
    private static final int FIRST = 1_000;
    private static final int HEAP_SHARE = 8;
    private static final int UNTOLD = 8;
    private static final Duration LINGERS = Duration.ofSeconds(5);

    private static final String SHARE = BodyBudget.class.getName();

    private final AtomicLong taken = new AtomicLong();
    private final long largest;
    private final long budget;
    private final int largestJob;

    @Inject
    BodyBudget(Settings settings, @ConfigProperty(name = "quarkus.http.limits.max-body-size") MemorySize maxBody) {
        this(maxBody.asLongValue(), settings.maxRecord(), Runtime.getRuntime().maxMemory() / HEAP_SHARE);
    }

    BodyBudget(long largest, int largestJob, long budget) {
        this.largest = largest;
        this.largestJob = largestJob;
        this.budget = Math.max(largest, budget);
    }

    void register(@Observes Filters filters) {
        filters.register(this::admit, FIRST);
    }

    void admit(RoutingContext call) {
        long size = size(call);
        if (size == 0) {
            call.next();
            return;
        }
        if (size > largest) {
            refuse(
                    call,
                    413,
                    JobFailure.of(
                            JobFailure.Code.TOO_LARGE,
                            "the body has %d bytes, and %d are taken at once (quarkus.http.limits.max-body-size)"
                                    .formatted(size, largest)));
            return;
        }
        if (taken.addAndGet(size) > budget) {
            taken.addAndGet(-size);
            call.response().putHeader("Retry-After", "2");
            refuse(
                    call,
                    503,
                    JobFailure.of(
                            JobFailure.Code.BROKER_UNAVAILABLE,
                            "the bodies of the calls under way take all the memory there is for them: send this one again in a moment"));
            return;
        }
        Share share = new Share(size);
        call.put(SHARE, share);
        call.addEndHandler(_ -> share.giveBack());
        call.next();
    }

    /** The call does not need its body any more: streams and waits go on for long. */
    static void giveBack(RoutingContext call) {
        if (call.get(SHARE) instanceof Share share) {
            share.giveBack();
        }
    }

    /** What one call takes of it. */
    private final class Share {
        private final AtomicLong held;

        Share(long size) {
            held = new AtomicLong(size);
        }

        void giveBack() {
            taken.addAndGet(-held.getAndSet(0));
        }
    }

    /**
     * The rest of the body is read and dropped, for a moment: a connection that is closed with bytes unread is reset, and the
     * client may see that in place of the answer.
     */
    static void refuse(RoutingContext call, int status, JobFailure failure) {
        HttpServerRequest request = call.request();
        if (request.version() != HttpVersion.HTTP_2 && !request.isEnded()) {
            long closes = call.vertx().setTimer(LINGERS.toMillis(), _ -> {
                var _ = request.connection().close();
            });
            request.handler(_ -> {})
                    .endHandler(_ -> call.vertx().cancelTimer(closes))
                    .exceptionHandler(_ -> call.vertx().cancelTimer(closes))
                    .resume();
        }
        var _ = call.response()
                .setStatusCode(status)
                .putHeader("Content-Type", "application/json")
                .end(Buffer.buffer(Json.bytes(ErrorDocument.of(failure))));
    }

    /**
     * Of one that does not tell its size a share is counted; the server itself ends it where it turns out too large. HTTP/2 says
     * nowhere that a body comes: there its type tells.
     */
    private long size(RoutingContext call) {
        HttpServerRequest request = call.request();
        String length = request.getHeader("Content-Length");
        if (length != null) {
            try {
                return Math.max(0, Long.parseLong(length));
            } catch (NumberFormatException _) {
                return 0;
            }
        }
        String type = request.getHeader("Content-Type");
        boolean comes = request.getHeader("Transfer-Encoding") != null
                || (request.version() == HttpVersion.HTTP_2 && type != null);
        if (!comes) {
            return 0;
        }
        return (type != null && type.contains("ndjson") ? largest : largestJob) / UNTOLD;
    }
}
