package dev.penstock.api;

import dev.penstock.job.JobFailure;
import dev.penstock.settings.Settings;
import dev.penstock.wire.ErrorDocument;
import dev.penstock.wire.Json;
import io.quarkus.runtime.configuration.MemorySize;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpVersion;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.concurrent.atomic.AtomicLong;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/** Bounds what the bodies of all calls together take of memory: a call beyond it is refused before its body is read. */
@Singleton
final class BodyBudget {
    private static final int FIRST = 1_000;
    private static final int HEAP_SHARE = 8;
    private static final int UNTOLD = 8;

    private final AtomicLong taken = new AtomicLong();
    private final long largest;
    private final long budget;
    private final int largestJob;

    BodyBudget(Settings settings, @ConfigProperty(name = "quarkus.http.limits.max-body-size") MemorySize maxBody) {
        largest = maxBody.asLongValue();
        largestJob = settings.maxRecord();
        budget = Math.max(largest, Runtime.getRuntime().maxMemory() / HEAP_SHARE);
    }

    void register(@Observes Filters filters) {
        filters.register(this::admit, FIRST);
    }

    private void admit(RoutingContext call) {
        long size = size(call);
        if (size == 0) {
            call.next();
            return;
        }
        if (taken.addAndGet(size) > budget) {
            taken.addAndGet(-size);
            JobFailure failure = JobFailure.of(
                    JobFailure.Code.RATE_LIMITED,
                    "the bodies of the calls under way take all the memory there is for them: send this one again in a moment");
            // the rest of the body is not waited for
            var _ = call.response()
                    .setStatusCode(503)
                    .putHeader("Retry-After", "2")
                    .putHeader("Content-Type", "application/json")
                    .end(Buffer.buffer(Json.bytes(ErrorDocument.of(failure))))
                    .onComplete(_ -> {
                        if (call.request().version() != HttpVersion.HTTP_2) {
                            var _ = call.request().connection().close();
                        }
                    });
            return;
        }
        call.addEndHandler(_ -> taken.addAndGet(-size));
        call.next();
    }

    /** One too large is refused by the server itself; of one that does not tell its size a share is counted. */
    private long size(RoutingContext call) {
        String length = call.request().getHeader("Content-Length");
        if (length != null) {
            try {
                return Math.min(largest, Long.parseLong(length));
            } catch (NumberFormatException _) {
                return 0;
            }
        }
        String type = call.request().getHeader("Content-Type");
        return type == null ? 0 : (type.contains("ndjson") ? largest : largestJob) / UNTOLD;
    }
}
