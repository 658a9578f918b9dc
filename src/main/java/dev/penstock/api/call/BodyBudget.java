package dev.penstock.api.call;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.api.connection.CallEnd;
import dev.penstock.job.JobFailure;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import io.quarkus.runtime.configuration.MemorySize;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.io.InputStream;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.jspecify.annotations.Nullable;

/**
 * Limits the memory that the bodies of all calls take together, and the size and the time of each body. A call takes
 * memory for the announced length before its body is read. If the body is longer than announced, the call takes more
 * memory while the body comes. A call gives its share back at its end, or earlier if it does not need its body any
 * more.
 */
@Singleton
public final class BodyBudget {
    private static final int FIRST = 1_000;
    private static final int HEAP_SHARE = 8;
    /** The memory of one parsed value, as a tree and as maps and lists, without its text. */
    private static final long VALUE = 128;

    private static final String SHARE = BodyBudget.class.getName();

    private final AtomicLong taken = new AtomicLong();
    private final long largest;
    private final long budget;
    private final int largestJob;
    private final Duration patience;

    @Inject
    BodyBudget(Settings settings, @ConfigProperty(name = "quarkus.http.limits.max-body-size") MemorySize maxBody) {
        this(
                maxBody.asLongValue(),
                settings.maxRecord(),
                Runtime.getRuntime().maxMemory() / HEAP_SHARE,
                settings.api().body());
    }

    /**
     * @param largest the size limit of a body with many lines
     * @param largestJob the size limit of any other body, and of a line
     * @param patience the limit on the total time that a call waits for its body
     */
    BodyBudget(long largest, int largestJob, long budget, Duration patience) {
        this.largest = largest;
        this.largestJob = largestJob;
        this.budget = Math.max(largestJob, budget);
        this.patience = patience;
    }

    void register(@Observes Filters filters) {
        filters.register(this::admit, FIRST);
    }

    void admit(RoutingContext call) {
        if (call.get(SHARE) != null) {
            // the call was rerouted to another path, and already has its share
            call.next();
            return;
        }
        Share share = new Share(isLines(call.request()));
        try {
            share.announced(call.request().getHeader("Content-Length"));
        } catch (ApiException e) {
            refuse(call, e.failure());
            return;
        }
        call.put(SHARE, share);
        CallEnd.then(call, share::giveBack);
        call.next();
    }

    private static boolean isLines(HttpServerRequest request) {
        String type = request.getHeader("Content-Type");
        return type != null && type.toLowerCase(Locale.ROOT).contains("ndjson");
    }

    /** Wraps the body of a call. The wrapper counts the bytes while they are read. */
    CountedBody counted(InputStream body, Share share, CountedBody.Timer timer) {
        return new CountedBody(body, patience, share::read, timer);
    }

    /**
     * Wraps the body of an admitted call. The wrapper counts the bytes while they are read. Returns any other body
     * unchanged.
     */
    static InputStream counted(RoutingContext call, InputStream body) {
        if (!(call.get(SHARE) instanceof Share share)) {
            return body;
        }
        CountedBody counted = share.budget().counted(body, share, (delay, task) -> {
            long timer = call.vertx().setTimer(Math.max(1, delay.toMillis()), _ -> task.run());
            return () -> call.vertx().cancelTimer(timer);
        });
        CallEnd.then(call, counted::end);
        return counted;
    }

    /**
     * Gives back the share of a call that does not need its body any more. Calls that stream or wait use it, because
     * they last long.
     */
    public static void giveBack(RoutingContext call) {
        if (call.get(SHARE) instanceof Share share) {
            share.giveBack();
        }
    }

    /**
     * Adds the memory of a parsed body to the share of a call that keeps it until its end. Many small values take more
     * memory than their bytes. Throws an {@link ApiException} if there is no memory.
     */
    public static void keep(RoutingContext call, JsonNode body) {
        if (call.get(SHARE) instanceof Share share) {
            share.take(VALUE * values(body));
        }
    }

    static long values(JsonNode body) {
        long values = 1;
        for (JsonNode child : body) {
            values += values(child);
        }
        return values;
    }

    /** Returns the share of a call. The share holds no memory yet. */
    Share share(boolean lines) {
        return new Share(lines);
    }

    /**
     * The share of one call. A body with many lines is read one line after the other, so its share is at most the
     * largest line.
     */
    final class Share {
        private final AtomicLong held = new AtomicLong();
        private final boolean lines;
        private final long most;
        private long read;

        private Share(boolean lines) {
            this.lines = lines;
            most = lines ? largest : largestJob;
        }

        /** @param length the value of the header {@code Content-Length}; null if the call has none */
        void announced(@Nullable String length) {
            try {
                takeUpTo(length == null ? 0 : Long.parseLong(length));
            } catch (NumberFormatException _) {
                // the server refuses the call, or another header gives the end of the body
            }
        }

        private BodyBudget budget() {
            return BodyBudget.this;
        }

        private void read(int bytes) {
            read += bytes;
            takeUpTo(read);
        }

        private void takeUpTo(long size) {
            if (size > most) {
                throw new ApiException(JobFailure.of(
                        JobFailure.Code.TOO_LARGE,
                        "the body has more than %d bytes, the limit that %s sets"
                                .formatted(
                                        most,
                                        lines ? "quarkus.http.limits.max-body-size" : "penstock.kafka.max-record")));
            }
            take(Math.min(size, largestJob) - held.get());
        }

        void take(long more) {
            if (more <= 0) {
                return;
            }
            if (taken.addAndGet(more) > budget) {
                taken.addAndGet(-more);
                throw new ApiException(
                        JobFailure.of(
                                JobFailure.Code.BROKER_UNAVAILABLE,
                                "the bodies of the calls under way take all the memory there is for them: send this one again in a moment"));
            }
            held.addAndGet(more);
        }

        void giveBack() {
            taken.addAndGet(-held.getAndSet(0));
        }
    }

    static void refuse(RoutingContext call, JobFailure failure) {
        int status = failure.code().httpStatus();
        if (status == 503) {
            call.response().putHeader("Retry-After", "2");
        }
        var _ = call.response()
                .setStatusCode(status)
                .putHeader("Content-Type", "application/json")
                .end(Buffer.buffer(Json.bytes(ErrorForm.of(call).of(failure))));
    }
}
