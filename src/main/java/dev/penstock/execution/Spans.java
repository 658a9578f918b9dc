package dev.penstock.execution;

import dev.penstock.job.JobFailure;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;

/** Functions for all spans of a job. */
public final class Spans {
    private Spans() {}

    /** Makes a context current for this thread if the context has a trace. So no log line has an invalid trace id. */
    @SuppressWarnings("MustBeClosedChecker") // the caller closes it
    public static Scope current(Context context) {
        return Span.fromContext(context).getSpanContext().isValid() ? context.makeCurrent() : Scope.noop();
    }

    /** Marks a span as failed, without the failure's message: a server's message may quote the prompt. */
    public static void failed(Span span, JobFailure failure) {
        span.setAttribute("error.type", failure.code().wireName()).setStatus(StatusCode.ERROR);
    }
}
