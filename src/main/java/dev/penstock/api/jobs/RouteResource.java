package dev.penstock.api.jobs;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.match.Decision;
import dev.penstock.route.match.Rules;
import dev.penstock.schedule.RoutePreview;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;

/** Explains where a job would run: its rule, and why each node may or may not run it. Nothing runs. */
@Path("/v1/route")
@Consumes(MediaType.APPLICATION_JSON)
@Produces(MediaType.APPLICATION_JSON)
@RunOnVirtualThread
public final class RouteResource {
    private final SubmissionProducer submissions;
    private final RoutePreview preview;
    private final Rules rules;
    private final Settings settings;

    public RouteResource(SubmissionProducer submissions, RoutePreview preview, Settings settings) {
        this.submissions = submissions;
        this.preview = preview;
        this.settings = settings;
        rules = new Rules(settings);
    }

    @POST
    public ObjectNode explain(byte[] document) {
        return switch (submissions.check(document, null)) {
            case SubmissionProducer.Checked.Unfit(JobFailure failure) -> throw new ApiException(failure);
            case SubmissionProducer.Checked.Fit fit ->
                explain(fit.job(), fit.topic().name());
        };
    }

    private ObjectNode explain(PromptJob job, String topic) {
        Decision decision = rules.decide(job, topic, Conditions.Source.REST);
        RoutePreview.Preview nodes =
                preview.of(RouteKey.of(job, decision), Demand.of(job, decision.rule(), settings.parameters()));
        ObjectNode document = Json.mapper().createObjectNode();
        document.put("rule", decision.rule().isNone() ? null : decision.rule().name());
        document.set("set", set(decision.rule().set()));
        ArrayNode candidates = document.putArray("candidates");
        nodes.candidates()
                .forEach(candidate -> candidates
                        .addObject()
                        .put("node", candidate.node())
                        .put("model", candidate.model())
                        .put("score", candidate.score())
                        .put("why", candidate.why()));
        ArrayNode excluded = document.putArray("excluded");
        nodes.excluded()
                .forEach(node -> excluded.addObject().put("node", node.node()).put("why", node.why()));
        return document.put("estimated_tokens", nodes.promptTokens());
    }

    private static ObjectNode set(Rule.Change change) {
        ObjectNode set = Json.mapper().createObjectNode();
        if (change.model() != null) {
            set.put("model", change.model());
        }
        if (change.priority() != null) {
            set.put("priority", change.priority().wireName());
        }
        if (!change.parameters().isEmpty()) {
            set.set("parameters", Json.mapper().valueToTree(change.parameters()));
        }
        return set;
    }
}
