package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.RecordedSpans;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The span of each attempt. */
@Timeout(60)
class AttemptTraceTest {
    private final RecordedSpans spans = new RecordedSpans();

    private ExecutionRig rig(Map<String, String> node) {
        return new ExecutionRig(spans.tracer(), node);
    }

    @Test
    void a_whole_answer_has_its_figures() {
        ExecutionRig rig = rig(TestSettings.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama").onCall(call -> {
            call.say(new TokenEvent.Spent(new Usage(3, 2, 0, 0)));
            call.answer("Hi");
        });

        rig.start(rig.job().with("max_tokens", 5).with("temperature", 0.5).model("llama"))
                .result();

        SpanData span = spans.last();
        assertThat(spans.all()).hasSize(1);
        assertThat(span.getName()).isEqualTo("chat llama");
        assertThat(span.getAttributes().get(AttributeKey.stringArrayKey("gen_ai.response.finish_reasons")))
                .containsExactly("stop");
        assertThat(spans.attribute("gen_ai.request.max_tokens")).isEqualTo(5L);
        assertThat(spans.attribute("gen_ai.request.temperature")).isEqualTo(0.5);
        assertThat(spans.attribute("gen_ai.response.model")).isEqualTo("llama");
        assertThat(spans.attribute("gen_ai.usage.input_tokens")).isEqualTo(3L);
        assertThat(spans.attribute("gen_ai.usage.output_tokens")).isEqualTo(2L);
        assertThat(spans.attribute("gen_ai.response.time_to_first_chunk")).isEqualTo(0.0);
        assertThat(spans.attribute("gen_ai.provider.name")).isEqualTo("vllm");
        assertThat(spans.attribute("penstock.node")).isEqualTo("gpu-a");
        assertThat(spans.attribute("penstock.attempt")).isEqualTo(1L);
        assertThat(spans.attribute("server.address")).isEqualTo("127.0.0.1");
        assertThat(spans.attribute("server.port")).isEqualTo(1L);
    }

    @Test
    void each_attempt_has_a_span_and_a_failure_has_its_code_without_its_message() {
        ExecutionRig rig = rig(TestSettings.node("gpu-a", "vllm", 1));
        FakeNodes.Server server = rig.nodes
                .server("gpu-a")
                .up("llama")
                .onCall(call -> call.fail(JobFailure.of(JobFailure.Code.NODE_ERROR, "the prompt was: Hi")));

        ExecutionRig.Run run = rig.start("llama");
        rig.passUntil(run::isOver, () -> "it goes on");

        assertThat(server.calls()).hasSize(3);
        assertThat(spans.all()).hasSize(3).allSatisfy(span -> {
            assertThat(span.getStatus().getStatusCode()).isEqualTo(StatusCode.ERROR);
            assertThat(span.toString()).doesNotContain("the prompt was");
        });
        assertThat(spans.attribute("error.type")).isEqualTo("node_error");
    }

    @Test
    void a_stopped_attempt_is_no_error_and_one_that_is_too_late_is() {
        ExecutionRig rig = rig(TestSettings.node("gpu-a", "vllm", 1));
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run stopped = rig.start(rig.job().task(Task.COMPLETION).model("llama"));
        ExecutionRig.awaitCalls(server, 1);
        stopped.signal.stop(StopSignal.Reason.CANCELLED);
        stopped.result();
        assertThat(spans.attribute("penstock.stopped")).isEqualTo(true);
        assertThat(spans.last().getName()).isEqualTo("text_completion llama");
        assertThat(spans.last().getStatus().getStatusCode()).isEqualTo(StatusCode.UNSET);

        ExecutionRig.Run late = rig.start(
                rig.job().task(Task.EMBEDDINGS).timeout(Duration.ofSeconds(1)).model("llama"));
        ExecutionRig.awaitCalls(server, 2);
        rig.pass(Duration.ofSeconds(1));
        late.result();
        assertThat(spans.attribute("error.type")).isEqualTo("timeout");
        assertThat(spans.last().getName()).isEqualTo("embeddings llama");
    }
}
