package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.direct.CallDocument;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.node.Node;
import dev.penstock.node.NodeRequest;
import dev.penstock.node.Nodes;
import dev.penstock.node.media.Until;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.match.Decision;
import dev.penstock.route.match.Rules;
import dev.penstock.schedule.RoutePreview;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.JobDocument;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.function.Function;

/**
 * Counts the tokens of a chat at the node that would get it now. If this node cannot count, or if there is no node, the
 * answer is the estimate that the routing uses.
 */
@Singleton
public final class TokenCounts {
    private static final Duration PATIENCE = Duration.ofSeconds(3);
    /** More counts at once get the estimate, because a count takes no slot of its node. */
    private static final int MOST_AT_ONCE = 8;

    /** Always the same, so that a rule that splits the jobs sends every count to the same side. */
    private static final JobId ID = new JobId("count_tokens");

    private static final Settings.JobTopic NO_TOPIC =
            new Settings.JobTopic("", Priority.NORMAL, JobDocument.DEFAULT_TENANT, 1);

    private final Semaphore places = new Semaphore(MOST_AT_ONCE);
    private final Nodes nodes;
    private final RoutePreview preview;
    private final Rules rules;
    private final Settings settings;
    private final Clock clock;

    public TokenCounts(Nodes nodes, RoutePreview preview, Settings settings, Clock clock) {
        this.nodes = nodes;
        this.preview = preview;
        this.settings = settings;
        this.clock = clock;
        rules = new Rules(settings);
    }

    /** @param headers returns all values of a header of the call */
    long of(ObjectNode chat, Function<String, List<String>> headers) throws InterruptedException {
        PromptJob job = job(chat, headers);
        Decision decision = rules.decide(job, NO_TOPIC.name(), Conditions.Source.OPENAI);
        RoutePreview.Preview shown =
                preview.of(RouteKey.of(job, decision), Demand.of(job, decision.rule(), settings.parameters()));
        if (shown.candidates().isEmpty()) {
            return shown.promptTokens();
        }
        RoutePreview.Candidate first = shown.candidates().getFirst();
        Node node = nodes.find(first.node()).orElse(null);
        if (node == null || !places.tryAcquire()) {
            return shown.promptTokens();
        }
        try {
            return at(node, first.model(), job, decision).orElse(shown.promptTokens());
        } finally {
            places.release();
        }
    }

    private static OptionalLong at(Node node, String model, PromptJob job, Decision decision)
            throws InterruptedException {
        Until until = new Until(new CompletableFuture<>(), System.nanoTime() + PATIENCE.toNanos());
        try (NodeRequest request =
                node.request(job, model, decision.rule().set().parameters(), null, until)) {
            return request.countTokens();
        } catch (WireProtocol.Unsupported | Until.Over _) {
            return OptionalLong.empty();
        }
    }

    private PromptJob job(ObjectNode chat, Function<String, List<String>> headers) {
        JobDocument.Parsed parsed = CallDocument.parse(chat, headers, ID, clock.instant(), settings.defaults(NO_TOPIC));
        return switch (parsed) {
            case JobDocument.Parsed.Valid(PromptJob job) -> job;
            case JobDocument.Parsed.Refused(JobId _, JobFailure failure) -> throw new ApiException(failure);
        };
    }
}
