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
 * The log fields and the trace of one record in flight, from its delivery to its end. The log fields appear in each
 * line that this thread logs. The span is a consumer span. It continues the trace of its producer, and also links to
 * the producer's span. So all jobs that a producer sent in one span can be found from that span. The thread of the run
 * owns the trace, and the span is current on that thread.
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
     * Begins the trace of a record.
     *
     * @param group the group that delivered the record
     * @param bytes the size of the record's value
     * @param traceparent the unchanged trace header of the producer; null if there is none
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

    /** Adds the job's id to the log fields and to the span. */
    public void named(JobId id) {
        MDC.put("job", id.value());
        span.setAttribute("messaging.message.id", id.value()).setAttribute("penstock.job.id", id.value());
    }

    public void valid(String tenant, String task) {
        MDC.put("tenant", tenant);
        span.setAttribute("penstock.tenant", tenant).setAttribute("penstock.task", task);
    }

    /**
     * Returns the trace header for each event: this span's context, or the producer's own context if there is no span.
     */
    public byte @Nullable [] traceparent() {
        return traceparent;
    }

    public void refused(JobFailure failure) {
        span.setAttribute("penstock.outcome", "rejected");
        Spans.failed(span, failure);
    }

    /** Adds the outcome of the job to the current span of this thread. */
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
