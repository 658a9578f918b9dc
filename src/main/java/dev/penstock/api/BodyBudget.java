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
                            JobFailure.Code.RATE_LIMITED,
                            "the bodies of the calls under way take all the memory there is for them: send this one again in a moment"));
            return;
        }
        call.addEndHandler(_ -> taken.addAndGet(-size));
        call.next();
    }

    /** The rest of the body is not waited for. */
    private static void refuse(RoutingContext call, int status, JobFailure failure) {
        var _ = call.response()
                .setStatusCode(status)
                .putHeader("Content-Type", "application/json")
                .end(Buffer.buffer(Json.bytes(ErrorDocument.of(failure))))
                .onComplete(_ -> {
                    if (call.request().version() != HttpVersion.HTTP_2) {
                        var _ = call.request().connection().close();
                    }
                });
    }

    /** Of one that does not tell its size a share is counted; the server itself ends it where it turns out too large. */
    private long size(RoutingContext call) {
        String length = call.request().getHeader("Content-Length");
        if (length != null) {
            try {
                return Long.parseLong(length);
            } catch (NumberFormatException _) {
                return 0;
            }
        }
        String type = call.request().getHeader("Content-Type");
        return type == null ? 0 : (type.contains("ndjson") ? largest : largestJob) / UNTOLD;
    }
}
