package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.testkit.RecordedSpans;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.jboss.logging.MDC;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The span of a record, and the fields of the log. */
class JobTraceTest {
    private static final RecordPlace PLACE = new RecordPlace("prompt-jobs", 2, 7);
    private static final String TRACE = "0af7651916cd43dd8448eb211c80319c";
    private static final byte[] PRODUCER = ("00-" + TRACE + "-b7ad6b7169203331-01").getBytes(StandardCharsets.US_ASCII);
    private static final JobFailure FAILURE = JobFailure.of(JobFailure.Code.NODE_ERROR, "the prompt was: Hi");

    private final RecordedSpans spans = new RecordedSpans();

    private static JobTrace begin(Tracer tracer, byte @Nullable [] traceparent) {
        return JobTrace.begin(tracer, PLACE, "penstock.prompt-jobs", 12, traceparent);
    }

    @Test
    void a_record_continues_its_producers_trace_and_links_to_it() {
        String own;
        try (JobTrace trace = begin(spans.tracer(), PRODUCER)) {
            trace.named(new JobId("j"));
            trace.valid("team-a", "chat");
            assertThat(MDC.get("job")).isEqualTo("j");
            assertThat(MDC.get("tenant")).isEqualTo("team-a");
            own = new String(trace.traceparent(), StandardCharsets.US_ASCII);
            assertThat(own).startsWith("00-" + TRACE).doesNotContain("b7ad6b7169203331");
            assertThat(Span.current().getSpanContext().getTraceId()).isEqualTo(TRACE);
            JobTrace.ended(new JobEvent.Failed(FAILURE, null, Map.of()));
        }

        assertThat(MDC.get("job")).isNull();
        assertThat(spans.last().getName()).isEqualTo("process prompt-jobs");
        assertThat(spans.last().getTraceId()).isEqualTo(TRACE);
        assertThat(spans.last().getLinks()).hasSize(1);
        assertThat(spans.last().getStatus().getStatusCode()).isEqualTo(StatusCode.ERROR);
        assertThat(spans.last().toString()).doesNotContain("the prompt was");
        assertThat(own).contains(spans.last().getSpanId());
        assertThat(spans.attribute("penstock.outcome")).isEqualTo("failed");
        assertThat(spans.attribute("error.type")).isEqualTo("node_error");
        assertThat(spans.attribute("penstock.job.id")).isEqualTo("j");
        assertThat(spans.attribute("penstock.tenant")).isEqualTo("team-a");
        assertThat(spans.attribute("messaging.kafka.offset")).isEqualTo(7L);
    }

    @Test
    void a_record_without_a_trace_begins_one() {
        try (JobTrace trace = begin(spans.tracer(), null)) {
            trace.refused(FAILURE);
            assertThat(trace.traceparent()).isNotNull();
        }

        assertThat(spans.last().getLinks()).isEmpty();
        assertThat(spans.attribute("penstock.outcome")).isEqualTo("rejected");
        assertThat(spans.attribute("messaging.destination.partition.id")).isEqualTo("2");
    }

    @Test
    void where_traces_go_nowhere_the_producers_context_goes_on() {
        Tracer off = new Traces(OpenTelemetry.noop(), true).tracer();
        try (JobTrace trace = begin(off, PRODUCER)) {
            assertThat(trace.traceparent()).isEqualTo(PRODUCER);
        }
        try (JobTrace trace = begin(off, null)) {
            assertThat(trace.traceparent()).isNull();
            assertThat(Span.current().getSpanContext().isValid()).isFalse();
        }
    }
}
