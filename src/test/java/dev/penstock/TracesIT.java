package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.TraceReceiver;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import dev.penstock.wire.record.EventHeaders;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.junit.jupiter.api.Test;

/**
 * The way of one job from its producer to its node and its answers: by the exported spans, and by its headers where
 * nothing is exported.
 */
class TracesIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
    private static final String SPAN = "00f067aa0ba902b7";
    private static final String PRODUCERS = "00-" + TRACE + "-" + SPAN + "-01";
    private static final Pattern HEADER = Pattern.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-01");

    /** A broker, a node and the service, with or without an exporter. */
    private record Stage(Broker broker, FakeUpstream fake, PenstockProcess penstock, ReplyLog replies)
            implements AutoCloseable {
        /** @param others further nodes, by name */
        static Stage start(Map<String, String> variables, Map<String, FakeUpstream> others)
                throws InterruptedException {
            Broker broker = Broker.start();
            FakeUpstream fake = FakeUpstream.start();
            fake.script(request -> request.prompt().equals("bad")
                    ? Answer.refuse(400, "no: bad")
                    : Answer.tokens(5).promptTokens(7).every(Duration.ofMillis(20)));
            PenstockProcess.Builder builder = PenstockProcess.with(broker.bootstrap())
                    .name("traced")
                    .config("quarkus.log.console.json.enabled", "true")
                    .node("fake", "vllm", URI.create(fake.url()), 8);
            others.forEach((node, server) -> builder.node(node, "vllm", URI.create(server.url()), 8));
            variables.forEach(builder::environment);
            return new Stage(broker, fake, builder.startReady(), ReplyLog.follow(broker.bootstrap()));
        }

        static Stage start(Map<String, String> variables) throws InterruptedException {
            return start(variables, Map.of());
        }

        void send(String id, String prompt, String traceparent) throws InterruptedException {
            try (JobSender jobs = new JobSender(broker.bootstrap())) {
                jobs.send(new ProducerRecord<>(
                        "prompt-jobs",
                        null,
                        null,
                        null,
                        JobSender.chat(id, prompt).getBytes(StandardCharsets.UTF_8),
                        new RecordHeaders().add("traceparent", traceparent.getBytes(StandardCharsets.US_ASCII))));
                jobs.flush();
            }
            replies.awaitOutcomes(List.of(id), PATIENCE);
        }

        /** The header of each event of a job. */
        List<String> traceparents(String id) {
            return Records.all(broker.bootstrap(), "prompt-replies").stream()
                    .filter(record -> id.equals(EventHeaders.text(record.headers(), EventHeaders.JOB_ID)))
                    .map(record -> String.valueOf(EventHeaders.text(record.headers(), "traceparent")))
                    .toList();
        }

        /** The header of the last request to the node. */
        String atTheNode() {
            return atTheNode(fake);
        }

        static String atTheNode(FakeUpstream node) {
            return node.requests().getLast().request().headers().getOrDefault("traceparent", "");
        }

        @Override
        public void close() {
            replies.close();
            penstock.close();
            fake.close();
            broker.close();
        }
    }

    private static Map<String, String> exporting(TraceReceiver receiver) {
        return Map.of(
                "OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint(),
                "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf",
                "QUARKUS_OTEL_BSP_SCHEDULE_DELAY", "100ms");
    }

    private static Predicate<TraceReceiver.Span> of(String kind, String id) {
        return span ->
                span.kind().equals(kind) && span.attribute("penstock.job.id").equals(id);
    }

    private static Predicate<TraceReceiver.Span> attempt(String id, int attempt) {
        return of("CLIENT", id).and(span -> span.attribute("penstock.attempt").equals(Integer.toString(attempt)));
    }

    @Test
    void a_job_of_kafka_and_one_over_rest_are_each_one_trace() throws InterruptedException {
        try (TraceReceiver receiver = TraceReceiver.start();
                Stage stage = Stage.start(exporting(receiver))) {
            // over Kafka, with its producer's trace
            stage.send("order-42", "hi", PRODUCERS);

            TraceReceiver.Span intake = receiver.await(of("CONSUMER", "order-42"), PATIENCE);
            TraceReceiver.Span attempt = receiver.await(of("CLIENT", "order-42"), PATIENCE);
            System.out.println(TraceReceiver.drawn(List.of(intake, attempt)));
            assertThat(intake.service()).isEqualTo("penstock");
            assertThat(intake.name()).isEqualTo("process prompt-jobs");
            assertThat(intake.traceId()).isEqualTo(TRACE);
            assertThat(intake.parentId()).isEqualTo(SPAN);
            assertThat(intake.links()).containsExactly(TRACE + "-" + SPAN);
            assertThat(intake.attributes())
                    .containsEntry("messaging.system", "kafka")
                    .containsEntry("messaging.operation.type", "process")
                    .containsEntry("messaging.destination.name", "prompt-jobs")
                    .containsEntry("messaging.kafka.offset", "0")
                    .containsEntry("messaging.consumer.group.name", "penstock.prompt-jobs")
                    .containsEntry("messaging.message.id", "order-42")
                    .containsEntry("penstock.tenant", "default")
                    .containsEntry("penstock.outcome", "completed")
                    .containsKey("messaging.destination.partition.id");
            assertThat(attempt.name()).isEqualTo("chat tiny");
            assertThat(attempt.traceId()).isEqualTo(TRACE);
            assertThat(attempt.parentId()).isEqualTo(intake.spanId());
            assertThat(attempt.attributes())
                    .containsEntry("gen_ai.operation.name", "chat")
                    .containsEntry("gen_ai.provider.name", "vllm")
                    .containsEntry("gen_ai.request.model", "tiny")
                    .containsEntry("gen_ai.response.model", "tiny")
                    .containsEntry("gen_ai.usage.input_tokens", "7")
                    .containsEntry("gen_ai.usage.output_tokens", "5")
                    .containsEntry("gen_ai.response.finish_reasons", "stop")
                    .containsEntry("server.address", "127.0.0.1")
                    .containsEntry("server.port", Integer.toString(stage.fake().port()))
                    .containsEntry("penstock.node", "fake")
                    .containsEntry("penstock.attempt", "1");
            assertThat(Double.parseDouble(attempt.attribute("gen_ai.response.time_to_first_chunk")))
                    .isBetween(0.0, (attempt.endNanos() - attempt.startNanos()) / 1e9);
            assertThat(stage.atTheNode()).isEqualTo("00-" + TRACE + "-" + attempt.spanId() + "-01");
            assertThat(stage.traceparents("order-42"))
                    .hasSizeGreaterThan(2)
                    .containsOnly("00-" + TRACE + "-" + intake.spanId() + "-01");

            // over REST, with its caller's trace
            Rest.Reply answer = Rest.post(
                    stage.penstock().url(),
                    "/v1/jobs",
                    "application/json",
                    JobSender.chat("by-rest", "hi"),
                    "Prefer",
                    "wait=30",
                    "traceparent",
                    PRODUCERS);
            assertThat(answer.status()).as(answer.body()).isEqualTo(200);
            TraceReceiver.Span processed = receiver.await(of("CONSUMER", "by-rest"), PATIENCE);
            TraceReceiver.Span sent = receiver.await(of("PRODUCER", "by-rest"), PATIENCE);
            TraceReceiver.Span request = receiver.await(
                    span -> span.kind().equals("SERVER") && span.spanId().equals(sent.parentId()), PATIENCE);
            TraceReceiver.Span tried = receiver.await(of("CLIENT", "by-rest"), PATIENCE);
            System.out.println(TraceReceiver.drawn(List.of(request, sent, processed, tried)));
            assertThat(sent.name()).isEqualTo("send prompt-jobs");
            assertThat(sent.attributes()).containsKeys("messaging.kafka.offset", "messaging.destination.partition.id");
            assertThat(processed.links()).containsExactly(TRACE + "-" + sent.spanId());
            assertThat(processed.parentId()).isEqualTo(sent.spanId());
            assertThat(List.of(request, sent, processed, tried))
                    .allSatisfy(span -> assertThat(span.traceId()).isEqualTo(TRACE));
            assertThat(request.parentId()).isEqualTo(SPAN);

            // one that fails, in no trace of a caller
            stage.send("refused", "bad", "no traceparent");
            TraceReceiver.Span failed = receiver.await(of("CLIENT", "refused"), PATIENCE);
            TraceReceiver.Span ended = receiver.await(of("CONSUMER", "refused"), PATIENCE);
            assertThat(failed.failed()).isTrue();
            assertThat(failed.attribute("error.type")).isEqualTo("invalid_request");
            assertThat(ended.failed()).isTrue();
            assertThat(ended.attribute("penstock.outcome")).isEqualTo("failed");
            assertThat(ended.parentId()).isEmpty();
            assertThat(ended.links()).isEmpty();
            assertThat(stage.traceparents("refused"))
                    .allSatisfy(header -> assertThat(header)
                            .matches(HEADER)
                            .isEqualTo("00-" + ended.traceId() + "-" + ended.spanId() + "-01"));
            String line = stage.penstock().process().awaitLine(said -> said.contains("outcome=failed"), PATIENCE);
            assertThat(line)
                    .startsWith("{")
                    .contains(
                            "\"job\":\"refused\"",
                            "\"tenant\":\"default\"",
                            "\"node\":\"fake\"",
                            "\"traceId\":\"" + ended.traceId());

            // only the spans of a job: none of a probe, of a poll or of health
            assertThat(receiver.spans())
                    .extracting(span -> span.kind() + " " + span.name())
                    .containsOnly(
                            "CONSUMER process prompt-jobs",
                            "CLIENT chat tiny",
                            "PRODUCER send prompt-jobs",
                            "SERVER POST /v1/jobs");
        }
    }

    @Test
    void a_job_that_breaks_at_one_node_and_completes_at_another_is_two_attempts_of_one_taking()
            throws InterruptedException {
        AtomicInteger attempts = new AtomicInteger();
        // whichever node is asked first breaks off
        Function<UpstreamRequest, Answer> script = _ -> {
            Answer answer = Answer.tokens(5).every(Duration.ofMillis(20));
            return attempts.getAndIncrement() == 0 ? answer.resetAfter(2) : answer;
        };
        try (TraceReceiver receiver = TraceReceiver.start();
                FakeUpstream other = FakeUpstream.start();
                Stage stage = Stage.start(exporting(receiver), Map.of("other", other))) {
            Map<String, FakeUpstream> nodes = Map.of("fake", stage.fake(), "other", other);
            nodes.values().forEach(node -> node.script(script));

            stage.send("moved", "hi", PRODUCERS);

            TraceReceiver.Span intake = receiver.await(of("CONSUMER", "moved"), PATIENCE);
            TraceReceiver.Span broken = receiver.await(attempt("moved", 1), PATIENCE);
            TraceReceiver.Span whole = receiver.await(attempt("moved", 2), PATIENCE);
            System.out.println(TraceReceiver.drawn(List.of(intake, broken, whole)));
            assertThat(List.of(broken, whole)).allSatisfy(attempt -> {
                assertThat(attempt.name()).isEqualTo("chat tiny");
                assertThat(attempt.traceId()).isEqualTo(TRACE);
                assertThat(attempt.parentId()).isEqualTo(intake.spanId());
                FakeUpstream node = Objects.requireNonNull(nodes.get(attempt.attribute("penstock.node")));
                assertThat(Stage.atTheNode(node)).isEqualTo("00-" + TRACE + "-" + attempt.spanId() + "-01");
                assertThat(attempt.attribute("server.port")).isEqualTo(Integer.toString(node.port()));
            });
            assertThat(whole.attribute("penstock.node")).isNotEqualTo(broken.attribute("penstock.node"));
            assertThat(whole.startNanos()).isGreaterThanOrEqualTo(broken.endNanos());
            assertThat(broken.failed()).isTrue();
            assertThat(broken.attributes())
                    .containsEntry("error.type", "stream_broken")
                    .doesNotContainKey("gen_ai.response.finish_reasons");
            assertThat(whole.failed()).isFalse();
            assertThat(whole.attributes()).doesNotContainKey("error.type");
            assertThat(Integer.parseInt(whole.attribute("gen_ai.usage.output_tokens")))
                    .as("it continues the text of the attempt before, of at most two tokens")
                    .isBetween(3, 5);
            assertThat(intake.failed()).isFalse();
            assertThat(intake.attributes())
                    .containsEntry("penstock.outcome", "completed")
                    .doesNotContainKey("error.type");
            assertThat(receiver.spans()).hasSize(3);
        }
    }

    /** As in the chart and on the operations page: only an endpoint is set. */
    @Test
    void where_only_an_endpoint_is_said_spans_go_there_over_grpc() throws InterruptedException {
        try (TraceReceiver receiver = TraceReceiver.startGrpc();
                Stage stage = Stage.start(Map.of("QUARKUS_OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()))) {
            stage.send("by-grpc", "hi", PRODUCERS);

            TraceReceiver.Span intake = receiver.await(of("CONSUMER", "by-grpc"), PATIENCE);
            TraceReceiver.Span attempt = receiver.await(of("CLIENT", "by-grpc"), PATIENCE);
            assertThat(intake.service()).isEqualTo("penstock");
            assertThat(intake.traceId()).isEqualTo(TRACE);
            assertThat(intake.parentId()).isEqualTo(SPAN);
            assertThat(intake.attribute("penstock.outcome")).isEqualTo("completed");
            assertThat(attempt.traceId()).isEqualTo(TRACE);
            assertThat(attempt.parentId()).isEqualTo(intake.spanId());
            assertThat(stage.atTheNode()).isEqualTo("00-" + TRACE + "-" + attempt.spanId() + "-01");

            // at its end the service sends the spans that it has not sent yet
            stage.send("last", "hi", PRODUCERS);
            stage.penstock().close();
            assertThat(receiver.spans())
                    .extracting(span -> span.kind() + " " + span.attribute("penstock.job.id"))
                    .containsExactlyInAnyOrder("CONSUMER by-grpc", "CLIENT by-grpc", "CONSUMER last", "CLIENT last");
            // each answer was one that it understands
            assertThat(stage.penstock().process().output()).noneMatch(said -> said.contains("Failed to export"));
        }
    }

    @Test
    void where_nothing_is_exported_the_producers_own_trace_goes_on_as_it_came() throws InterruptedException {
        try (Stage stage = Stage.start(Map.of())) {
            stage.send("order-43", "hi", PRODUCERS);

            assertThat(stage.atTheNode()).isEqualTo(PRODUCERS);
            assertThat(stage.traceparents("order-43")).hasSizeGreaterThan(2).containsOnly(PRODUCERS);

            Rest.post(
                    stage.penstock().url(),
                    "/v1/jobs",
                    "application/json",
                    JobSender.chat("by-rest", "hi"),
                    "Prefer",
                    "wait=30",
                    "traceparent",
                    PRODUCERS);
            assertThat(stage.traceparents("by-rest")).hasSizeGreaterThan(2).containsOnly(PRODUCERS);

            stage.send("untraced", "bad", "");
            assertThat(stage.fake().requests().getLast().request().headers()).doesNotContainKey("traceparent");
            String line = stage.penstock().process().awaitLine(said -> said.contains("outcome=failed"), PATIENCE);
            assertThat(line).contains("\"job\":\"untraced\"").doesNotContain("traceId");
            stage.send("known", "bad", PRODUCERS);
            String known = stage.penstock()
                    .process()
                    .awaitLine(said -> said.contains("outcome=failed") && said.contains("job=known"), PATIENCE);
            assertThat(known).contains("\"traceId\":\"" + TRACE + "\"");
            assertThat(stage.penstock().process().output()).noneMatch(said -> said.contains("4317"));
        }
    }
}
