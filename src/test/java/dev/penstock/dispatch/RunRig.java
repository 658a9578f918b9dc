package dev.penstock.dispatch;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.execution.ExecutionContext;
import dev.penstock.execution.RunMeters;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.ledger.PlayedLedger;
import dev.penstock.node.FakeNodes;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.PlayedRecovery;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.route.match.Rules;
import dev.penstock.schedule.PausedTime;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Conditions.Source;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PlayedProducer;
import dev.penstock.wire.Json;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Runs of a replica over servers that a test plays, in time that passes only when the test says so. The reply topic is in
 * memory. The ledger is away, until the test lets it answer.
 */
final class RunRig {
    private static final String REPLIES = "prompt-replies";
    static final Map<String, String> VLLM = TestSettings.node("gpu-a", "vllm", 64);

    private final PausedTime time = new PausedTime();
    final Clock clock = time.clock();
    final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    final Settings settings;
    final FakeNodes nodes;
    final Scheduler scheduler;
    final Quarantine quarantine = new Quarantine(meters);
    final MockProducer<byte[], byte[]> producer;
    final ReplyTopic replies;
    /** The topic of the outcomes for webhooks. */
    final MockProducer<byte[], byte[]> announced;

    final WebhookTopic webhooks;
    /** The webhook of the jobs that the test makes from now on; null for none. */
    volatile @Nullable String webhook;

    final PlayedLedger ledger;
    final Set<JobId> cancelled = ConcurrentHashMap.newKeySet();
    final Counter duplicates = meters.counter("penstock.duplicates");
    /** Whether another record of the same job, with a smaller stamp, is in flight. */
    volatile boolean smallerInFlight;

    final RunContext context;
    private final AtomicLong offsets = new AtomicLong();

    RunRig(Map<String, String> keys) {
        this(keys, true);
    }

    /**
     * @param keys keys of the configuration, without {@code penstock.}
     * @param brokerAnswers whether each event is on the broker at once; otherwise when the test says so
     */
    RunRig(Map<String, String> keys, boolean brokerAnswers) {
        Map<String, String> file = new HashMap<>(Map.of("penstock.retries.backoff", "5ms"));
        keys.forEach((key, value) -> file.put("penstock." + key, value));
        settings = TestSettings.ofFile(file);
        nodes = new FakeNodes(settings, clock);
        scheduler = time.scheduler(settings, nodes, meters);
        producer = PlayedProducer.of(REPLIES, 1, brokerAnswers);
        replies = new ReplyTopic(REPLIES, producer, 8 * 1024 * 1024, () -> 8 * 1024 * 1024);
        announced = PlayedProducer.of("prompt-webhooks", 6, brokerAnswers);
        webhooks = new WebhookTopic(settings, announced, clock);
        ledger = new PlayedLedger(settings, replies, this::written);
        context = context(PlayedRecovery.of(replies, producer));
    }

    RunContext context(Recovery recovery) {
        return new RunContext(
                scheduler,
                new Rules(settings),
                recovery,
                ledger,
                cancelled::contains,
                quarantine,
                _ -> smallerInFlight,
                duplicates,
                new ExecutionContext(
                        settings,
                        clock,
                        time::nanos,
                        () -> 0,
                        new RunMeters(meters),
                        OpenTelemetry.noop().getTracer("test")));
    }

    @SafeVarargs
    static Map<String, String> keys(Map<String, String>... some) {
        Map<String, String> all = new HashMap<>();
        for (Map<String, String> more : some) {
            all.putAll(more);
        }
        return all;
    }

    void pass(Duration length) {
        time.pass(length);
        nodes.all().forEach(node -> nodes.server(node.name()).calls().forEach(FakeNodes.Call::wake));
    }

    /** Returns a job whose record has an id of its own. */
    TakenJob job(String model) {
        return job(model, offsets.getAndIncrement(), false, null);
    }

    /** Returns a job whose producer chose its id. */
    TakenJob named(String model, long offset) {
        return job(model, offset, true, null);
    }

    /** Returns the same job on a deferred record. */
    static TakenJob deferred(TakenJob taken, RecordPlace deferred) {
        return new TakenJob(
                taken.job(),
                taken.stamp(),
                taken.document(),
                taken.namesItself(),
                deferred,
                taken.source(),
                taken.traceparent());
    }

    private TakenJob job(String model, long offset, boolean namesItself, @Nullable RecordPlace deferred) {
        Instant now = clock.instant();
        PromptJob job = new PromptJob(
                new JobId(namesItself ? "named" : "job-" + offset),
                Task.CHAT,
                model,
                true,
                Map.of(),
                Priority.NORMAL,
                "default",
                now,
                Duration.ofMinutes(10),
                null,
                PromptJob.Pins.NONE,
                null,
                3,
                null,
                webhook,
                Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))));
        return new TakenJob(
                job,
                new RecordStamp(now.toEpochMilli() + offset, new RecordPlace("prompt-jobs", 0, offset)),
                Bytes.wrap("{\"model\":\"llama\"}".getBytes(StandardCharsets.UTF_8)),
                namesItself,
                deferred,
                Source.KAFKA,
                null);
    }

    Run start(TakenJob taken) {
        return start(taken, new FakeDelivery());
    }

    Run start(TakenJob taken, FakeDelivery delivery) {
        return run(taken, delivery).begin();
    }

    /** Returns a run that has not begun. */
    Run run(TakenJob taken, FakeDelivery delivery) {
        return new Run(taken, delivery);
    }

    JobReplies replies(TakenJob taken) {
        return new JobReplies(
                replies,
                webhooks.of(taken.job().id(), taken.job().webhook(), taken.job().acceptedAt(), null),
                taken.job().id(),
                "r",
                null,
                time::nanos);
    }

    /** A run on a thread of its own. */
    final class Run {
        final FakeDelivery delivery;
        final JobRun run;
        private final JobId id;
        private final Thread thread;
        private volatile @Nullable JobFailure refused;

        private Run(TakenJob taken, FakeDelivery delivery) {
            this.delivery = delivery;
            id = taken.job().id();
            run = new JobRun(taken, delivery, replies(taken), context);
            thread = Thread.ofVirtual().unstarted(() -> {
                try {
                    refused = run.run();
                } catch (InterruptedException _) {
                    Thread.currentThread().interrupt();
                }
            });
        }

        Run begin() {
            thread.start();
            return this;
        }

        boolean isOver() {
            return !thread.isAlive();
        }

        /** Waits for the end of the run. */
        Run join() {
            Conditions.await(() -> !thread.isAlive(), () -> id + " has not ended: " + names());
            return this;
        }

        /** Returns why the record is refused; null if it is not. */
        @Nullable
        JobFailure refused() {
            return refused;
        }

        List<String> names() {
            return RunRig.this.names(id);
        }

        JsonNode last() {
            return events(id).getLast();
        }
    }

    private List<ProducerRecord<byte[], byte[]>> written() {
        return List.copyOf(producer.history());
    }

    List<JsonNode> events(JobId id) {
        List<JsonNode> events = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> record : written()) {
            if (new String(record.key(), StandardCharsets.UTF_8).equals(id.value())) {
                events.add(Json.parseLenient(new String(record.value(), StandardCharsets.UTF_8)));
            }
        }
        return events;
    }

    /** Returns the names of a job's events with their attempts, such as started 1. */
    List<String> names(JobId id) {
        return events(id).stream()
                .map(event -> event.at("/job/event").asText() + " "
                        + event.at("/job/attempt").asInt())
                .toList();
    }

    /** Another run of the job publishes {@code started}. */
    void otherStarts(TakenJob taken, int attempt, String run) {
        publish(
                taken,
                new EventMark(EventMark.Kind.STARTED, attempt, run, 0),
                new JobEvent.Started("gpu-z", "vllm", "llama", clock.instant(), taken.place(), Map.of(), null));
    }

    /** Another run of the job publishes an outcome. */
    void otherEnds(TakenJob taken, int attempt, String run) {
        publish(
                taken,
                new EventMark(EventMark.Kind.CANCELLED, attempt, run, 1),
                new JobEvent.Cancelled(null, Map.of()));
    }

    private void publish(TakenJob taken, EventMark mark, JobEvent event) {
        var _ = replies.send(taken.job().id(), mark, event, null);
    }

    /** Returns the server of the node {@code gpu-a}. */
    FakeNodes.Server server() {
        return nodes.server("gpu-a");
    }

    /** The server of {@code gpu-a} is up, and answers every request. */
    void answers() {
        server().up("llama").onCall(call -> call.answer("Hi"));
    }

    /** Waits for the first request at a server. */
    static void awaitCall(FakeNodes.Server server) {
        Conditions.await(() -> server.calls().size() == 1, () -> "no request");
    }
}
