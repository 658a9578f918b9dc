package dev.penstock.dispatch;

import dev.penstock.execution.Spans;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.record.TraceHeader;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jboss.logging.MDC;
import org.jspecify.annotations.Nullable;

/**
 * The log fields and the trace of one record in flight, from its delivery to its end: a consumer's span, and the fields
 * of each line that this thread logs. The span continues its producer's trace and also links to it, so a producer that
 * sent many jobs in one span finds each. Owned by the thread of the run; the span is current on it.
 */
public final class JobTrace implements AutoCloseable {
    private static final List<String> FIELDS = List.of("job", "tenant", "node");

    private final Span span;
    private final Scope scope;
    private final byte @Nullable [] traceparent;

    private JobTrace(Span span, Scope scope, byte @Nullable [] traceparent) {
        this.span = span;
        this.scope = scope;
        this.traceparent = traceparent;
    }

    /**
     * @param group the group that delivered the record
     * @param bytes the size of its value
     * @param traceparent the header of its producer, as it came; null where there is none
     */
    public static JobTrace begin(
            Tracer tracer, RecordPlace place, String group, int bytes, byte @Nullable [] traceparent) {
        Context producer =
                TraceHeader.read(traceparent == null ? null : new String(traceparent, StandardCharsets.US_ASCII));
        SpanContext sent = Span.fromContext(producer).getSpanContext();
        SpanBuilder builder = tracer.spanBuilder("process " + place.topic())
                .setParent(producer)
                .setSpanKind(SpanKind.CONSUMER)
                .setAttribute("messaging.system", "kafka")
                .setAttribute("messaging.operation.name", "process")
                .setAttribute("messaging.operation.type", "process")
                .setAttribute("messaging.destination.name", place.topic())
                .setAttribute("messaging.destination.partition.id", Integer.toString(place.partition()))
                .setAttribute("messaging.kafka.offset", place.offset())
                .setAttribute("messaging.consumer.group.name", group)
                .setAttribute("messaging.message.body.size", bytes);
        if (sent.isValid()) {
            builder.addLink(sent);
        }
        Span span = builder.startSpan();
        Context own = producer.with(span);
        String header = span.getSpanContext().equals(sent) ? null : TraceHeader.of(own);
        return new JobTrace(
                span, Spans.current(own), header == null ? traceparent : header.getBytes(StandardCharsets.US_ASCII));
    }

    /** From here on its job is known. */
    public void named(JobId id) {
        MDC.put("job", id.value());
        span.setAttribute("messaging.message.id", id.value()).setAttribute("penstock.job.id", id.value());
    }

    public void valid(String tenant, String task) {
        MDC.put("tenant", tenant);
        span.setAttribute("penstock.tenant", tenant).setAttribute("penstock.task", task);
    }

    /** The context for each event: this span's context, or the producer's own where there is no span. */
    public byte @Nullable [] traceparent() {
        return traceparent;
    }

    public void refused(JobFailure failure) {
        span.setAttribute("penstock.outcome", "rejected");
        Spans.failed(span, failure);
    }

    /** The end of the job that this thread runs. */
    static void ended(JobEvent outcome) {
        Span span = Span.current();
        span.setAttribute("penstock.outcome", outcome.kind().wireName());
        if (outcome instanceof JobEvent.Failed failed) {
            Spans.failed(span, failed.failure());
        }
    }

    @Override
    public void close() {
        scope.close();
        span.end();
        FIELDS.forEach(MDC::remove);
    }
}
