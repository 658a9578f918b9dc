package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.ledger.Ledger;
import dev.penstock.node.FakeNodes;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import dev.penstock.settings.TestSettings;
import dev.penstock.wire.Json;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/** A replica's scheduler and runs over servers that a test plays: no broker, no ledger, no network. */
final class RunRig {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(30);

    /** What is added to the real time. */
    private final AtomicLong aheadMillis = new AtomicLong();

    final Clock clock = new Clock() {
        @Override
        public Instant instant() {
            return Instant.now().plusMillis(aheadMillis.get());
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    };

    final Settings settings;
    final FakeNodes nodes;
    final Scheduler scheduler;
    private final MockProducer<byte[], byte[]> producer =
            new MockProducer<>(true, null, new ByteArraySerializer(), new ByteArraySerializer());
    private final RunContext context;
    private final AtomicLong offsets = new AtomicLong();

    /** A first run asks neither the ledger nor the reply topic. */
    private static final @Nullable Recovery NO_RECOVERY = null;

    private static final @Nullable Ledger NO_LEDGER = null;

    /** @param keys of the configuration, without {@code penstock.} */
    @SuppressWarnings("NullAway")
    RunRig(Map<String, String> keys) {
        Map<String, String> file = new HashMap<>(Map.of("penstock.retries.backoff", "5ms"));
        keys.forEach((key, value) -> file.put("penstock." + key, value));
        settings = TestSettings.ofFile(file);
        nodes = new FakeNodes(settings, clock);
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        scheduler = new Scheduler(settings, nodes, clock, meters);
        context = new RunContext(
                scheduler,
                NO_RECOVERY,
                NO_LEDGER,
                _ -> false,
                new Quarantine(meters),
                _ -> false,
                settings,
                clock,
                new RunMeters(meters),
                OpenTelemetry.noop().getTracer("test"));
    }

    static Map<String, String> node(String name, String backend, int slots) {
        String key = "nodes." + name + ".";
        return Map.of(
                key + "backend",
                backend,
                key + "url",
                "http://127.0.0.1:1",
                key + "max-in-flight",
                Integer.toString(slots));
    }

    @SafeVarargs
    static Map<String, String> keys(Map<String, String>... some) {
        Map<String, String> all = new HashMap<>();
        for (Map<String, String> more : some) {
            all.putAll(more);
        }
        return all;
    }

    void pass(Duration time) {
        aheadMillis.addAndGet(time.toMillis());
    }

    TakenJob job(@Nullable String model) {
        return job(model, Duration.ofMinutes(10), 3);
    }

    TakenJob job(@Nullable String model, Duration timeout, int maxAttempts) {
        return job(model, timeout, maxAttempts, Priority.NORMAL);
    }

    TakenJob job(@Nullable String model, Priority priority) {
        return job(model, Duration.ofMinutes(10), 3, priority);
    }

    private TakenJob job(@Nullable String model, Duration timeout, int maxAttempts, Priority priority) {
        long offset = offsets.getAndIncrement();
        Instant now = clock.instant();
        PromptJob job = new PromptJob(
                new JobId("job-" + offset),
                Task.CHAT,
                model,
                true,
                Map.of(),
                priority,
                "default",
                now,
                timeout,
                null,
                PromptJob.Pins.NONE,
                maxAttempts,
                Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))));
        return new TakenJob(
                job,
                new RecordStamp(now.toEpochMilli(), new RecordPlace("prompt-jobs", 0, offset)),
                Bytes.wrap(new byte[0]),
                false,
                null,
                null);
    }

    Run start(TakenJob taken) {
        return new Run(taken);
    }

    /** A run on a thread of its own. */
    final class Run {
        final Kept delivery = new Kept();
        final JobRun run;
        private final JobId id;
        final Thread thread;

        private Run(TakenJob taken) {
            id = taken.job().id();
            run = new JobRun(
                    taken,
                    delivery,
                    new JobReplies(
                            new ReplyTopic("prompt-replies", producer, 8 * 1024 * 1024, () -> 8 * 1024 * 1024),
                            id,
                            "r",
                            null),
                    context);
            thread = Thread.ofVirtual().start(() -> {
                try {
                    run.run();
                } catch (InterruptedException _) {
                    Thread.currentThread().interrupt();
                }
            });
        }

        void join() {
            await(() -> !thread.isAlive(), () -> id + " has not ended: " + names() + " " + last());
        }

        List<JsonNode> events() {
            List<JsonNode> said = new ArrayList<>();
            for (ProducerRecord<byte[], byte[]> record : List.copyOf(producer.history())) {
                if (new String(record.key(), StandardCharsets.UTF_8).equals(id.value())) {
                    said.add(Json.parseLenient(new String(record.value(), StandardCharsets.UTF_8)));
                }
            }
            return said;
        }

        /** The events' names with their attempts, such as started 1. */
        List<String> names() {
            return events().stream()
                    .map(event -> event.at("/job/event").asText() + " "
                            + event.at("/job/attempt").asInt())
                    .toList();
        }

        /** The nodes of its attempts, in their order. */
        List<String> attempts() {
            return events().stream()
                    .filter(event -> event.at("/job/event").asText().equals("started"))
                    .map(event -> event.at("/job/node").asText())
                    .toList();
        }

        JsonNode last() {
            return events().getLast();
        }

        String outcome() {
            return last().at("/job/event").asText();
        }
    }

    /** Waits for a condition. */
    static void await(BooleanSupplier condition, Supplier<String> otherwise) {
        long until = System.nanoTime() + PATIENCE_NANOS;
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(otherwise).isLessThan(until);
            LockSupport.parkNanos(1_000_000);
        }
    }

    /** A record that stays this replica's. */
    static final class Kept implements Delivery {
        volatile boolean acknowledged;
        volatile boolean setAside;
        volatile boolean handedBack;
        private int brokenRuns;

        @Override
        public boolean mayHaveRun() {
            return false;
        }

        @Override
        public boolean mayHaveRunAfterAll() {
            return false;
        }

        @Override
        public boolean isLastDelivery() {
            return false;
        }

        @Override
        public int handedBack() {
            return 0;
        }

        @Override
        public int failures() {
            return 0;
        }

        @Override
        public int brokenRuns() {
            return brokenRuns;
        }

        @Override
        public void deferBroken(Deferral deferral) {
            brokenRuns++;
        }

        @Override
        public @Nullable Instant deferredSince() {
            return null;
        }

        @Override
        public boolean isGone() {
            return false;
        }

        @Override
        public boolean renew() {
            return true;
        }

        @Override
        public void acknowledge() {
            acknowledged = true;
        }

        @Override
        public void defer(Deferral deferral, int handedBack, int failures) {
            setAside = true;
        }

        @Override
        public void handBack(int lastAttempt) {
            handedBack = true;
        }

        @Override
        public boolean deadLetter(JobFailure failure, int attempts) {
            return true;
        }
    }
}
