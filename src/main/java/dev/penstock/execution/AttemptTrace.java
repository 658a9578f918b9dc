package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.Usage;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jboss.logging.MDC;
import org.jspecify.annotations.Nullable;

/**
 * The log field {@code node} and the span of one attempt. Each log line of the attempt has the field. The span is a
 * client span by the OpenTelemetry conventions for generative AI, without any text. The thread of the run owns it.
 * The span is current on that thread, and the node receives the span's context.
 */
final class AttemptTrace implements AutoCloseable {
    private static final AttributeKey<List<String>> FINISH_REASONS =
            AttributeKey.stringArrayKey("gen_ai.response.finish_reasons");
    private static final Map<String, String> PARAMETERS = Map.of(
            "max_tokens", "gen_ai.request.max_tokens",
            "temperature", "gen_ai.request.temperature",
            "top_p", "gen_ai.request.top_p");

    private final Span span;
    private final Scope scope;

    private AttemptTrace(Span span) {
        this.span = span;
        scope = Spans.current(Context.current().with(span));
    }

    /** Begins the span of an attempt, as a child of the job's span. */
    static AttemptTrace begin(Tracer tracer, PromptJob job, NodeSettings node, String model, int attempt) {
        MDC.put("node", node.name());
        String operation = operation(job.task());
        SpanBuilder builder = tracer.spanBuilder(operation + " " + model)
                .setSpanKind(SpanKind.CLIENT)
                .setAttribute("gen_ai.operation.name", operation)
                .setAttribute("gen_ai.provider.name", provider(node.backend()))
                .setAttribute("gen_ai.request.model", model)
                .setAttribute("penstock.job.id", job.id().value())
                .setAttribute("penstock.node", node.name())
                .setAttribute("penstock.pool", node.pool())
                .setAttribute("penstock.attempt", attempt);
        // a program that is started for each request has no address
        if (node.url().getHost() != null) {
            builder.setAttribute("server.address", node.url().getHost()).setAttribute("server.port", port(node));
        }
        PARAMETERS.forEach((field, attribute) -> {
            if (job.body().get(field) instanceof Number number) {
                if (field.equals("max_tokens")) {
                    builder.setAttribute(attribute, number.longValue());
                } else {
                    builder.setAttribute(attribute, number.doubleValue());
                }
            }
        });
        return new AttemptTrace(builder.startSpan());
    }

    /** Notes that the second node of a hedged attempt gives the answer. */
    void movedTo(NodeSettings node, String model) {
        MDC.put("node", node.name());
        span.setAttribute("gen_ai.provider.name", provider(node.backend()))
                .setAttribute("gen_ai.request.model", model)
                .setAttribute("penstock.node", node.name())
                .setAttribute("penstock.pool", node.pool())
                .setAttribute("penstock.hedged", true);
    }

    /**
     * Adds the end of the attempt to the span.
     *
     * @param firstTokenMillis the time to the first token; null if no token arrived
     */
    void ended(AttemptStream.End end, @Nullable Long firstTokenMillis) {
        if (firstTokenMillis != null) {
            span.setAttribute("gen_ai.response.time_to_first_chunk", firstTokenMillis / 1000.0);
        }
        switch (end) {
            case AttemptStream.End.Whole(Answer answer, Usage here) -> {
                span.setAttribute("gen_ai.response.model", answer.head().model())
                        .setAttribute("gen_ai.usage.input_tokens", here.promptTokens())
                        .setAttribute("gen_ai.usage.output_tokens", here.completionTokens())
                        .setAttribute(
                                FINISH_REASONS,
                                answer.choices().stream()
                                        .map(Answer.Choice::finishReason)
                                        .filter(Objects::nonNull)
                                        .toList());
            }
            case AttemptStream.End.Failed(JobFailure failure) -> Spans.failed(span, failure);
            case AttemptStream.End.Stopped() -> span.setAttribute("penstock.stopped", true);
            case AttemptStream.End.TooLate() ->
                span.setAttribute("error.type", "timeout").setStatus(StatusCode.ERROR);
            case AttemptStream.End.Preempted() -> span.setAttribute("penstock.preempted", true);
        }
    }

    private static String operation(Task task) {
        return switch (task) {
            case CHAT, DESCRIBE, TAG -> "chat";
            case COMPLETION -> "text_completion";
            case EMBEDDINGS, RERANK, SCORE -> task.wireName();
        };
    }

    /** Returns the name of a backend in the conventions, or Penstock's own name if they have none. */
    private static String provider(Backend backend) {
        return backend == Backend.AZURE_OPENAI ? "azure.ai.openai" : backend.wireName();
    }

    private static int port(NodeSettings node) {
        int port = node.url().getPort();
        return port > 0 ? port : "https".equals(node.url().getScheme()) ? 443 : 80;
    }

    @Override
    public void close() {
        // remove the field; if the job has a span, closing the scope sets the field again
        MDC.remove("parentId");
        scope.close();
        span.end();
    }
}
