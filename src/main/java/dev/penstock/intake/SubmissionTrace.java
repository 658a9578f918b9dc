package dev.penstock.intake;

import dev.penstock.job.PromptJob;
import dev.penstock.wire.record.TraceHeader;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;

/** The producer span of one submission, as a child of the caller's request. The producer's thread ends the span. */
final class SubmissionTrace {
    private final Span span;
    private final @Nullable String traceparent;

    /** @param caller the caller's trace header, which is used if the request has no span; null if there is none */
    SubmissionTrace(Tracer tracer, String topic, PromptJob job, @Nullable String caller) {
        Context request = Context.current();
        Context parent = Span.fromContext(request).getSpanContext().isValid() ? request : TraceHeader.read(caller);
        span = tracer.spanBuilder("send " + topic)
                .setParent(parent)
                .setSpanKind(SpanKind.PRODUCER)
                .setAttribute("messaging.system", "kafka")
                .setAttribute("messaging.operation.name", "send")
                .setAttribute("messaging.operation.type", "send")
                .setAttribute("messaging.destination.name", topic)
                .setAttribute("messaging.message.id", job.id().value())
                .setAttribute("penstock.job.id", job.id().value())
                .setAttribute("penstock.tenant", job.tenant())
                .startSpan();
        traceparent = TraceHeader.of(parent.with(span));
    }

    /** Returns the trace header for the record; null if there is none. */
    @Nullable
    String traceparent() {
        return traceparent;
    }

    void written(RecordMetadata record) {
        span.setAttribute("messaging.destination.partition.id", Integer.toString(record.partition()))
                .setAttribute("messaging.kafka.offset", record.offset())
                .end();
    }

    void failed(Throwable why) {
        span.setAttribute("error.type", why.getClass().getName())
                .setStatus(StatusCode.ERROR)
                .end();
    }
}
