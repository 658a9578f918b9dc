package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.schema.AnswerSchema;
import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Reads what a job or a direct call says about the form of its answer. */
public final class ResultDocument {
    private static final String FIELD = "job.result";
    private static final String SCHEMA = FIELD + ".schema";

    private ResultDocument() {}

    /**
     * Reads {@code job.result}.
     *
     * @param given the field; null if it is absent
     * @param body the body of the request
     * @return the rule; null if the job has none
     */
    static PromptJob.@Nullable ResultRule read(@Nullable JsonNode given, Task task, Map<String, Object> body)
            throws InvalidField {
        if (given == null || given.isNull()) {
            return null;
        }
        if (!given.isObject()) {
            throw new InvalidField(FIELD, "expected an object, got " + Fields.kind(given));
        }
        new Fields(FIELD + ".", given).onlyKnown(List.of("schema", "repair"));
        boolean oneText = task == Task.CHAT || (task == Task.COMPLETION && body.get("prompt") instanceof String);
        if (!oneText) {
            throw new InvalidField(FIELD, "goes with messages, or with a prompt that is one text");
        }
        if (body.get("n") instanceof Number n && n.longValue() != 1) {
            throw new InvalidField("n", "must be 1 with " + FIELD);
        }
        JsonNode schema = given.path("schema");
        var _ = AnswerSchema.of(schema, SCHEMA);
        return new PromptJob.ResultRule(Json.text(schema), repairs(given.path("repair")), false);
    }

    private static int repairs(JsonNode given) throws InvalidField {
        if (given.isMissingNode() || given.isNull()) {
            return 0;
        }
        BigInteger most = BigInteger.valueOf(PromptJob.ResultRule.MOST_REPAIRS);
        if (!Fields.isInteger(given)
                || Fields.integer(given).signum() < 0
                || Fields.integer(given).compareTo(most) > 0) {
            throw new InvalidField(FIELD + ".repair", "expected an integer from 0 to " + most);
        }
        return Fields.integer(given).intValueExact();
    }

    /**
     * Returns the rule for a direct call with a schema in {@code response_format}. It applies only if the node does not
     * make its model follow the schema. The model is asked again once, but not if the answer is streamed, because the
     * caller has the text already. Returns empty if there is no schema, or if only a node can enforce it.
     */
    public static Optional<PromptJob.ResultRule> ofResponseFormat(PromptJob job) {
        if (!(job.body().get("response_format") instanceof Map<?, ?> format)
                || !"json_schema".equals(format.get("type"))
                || !(format.get("json_schema") instanceof Map<?, ?> named)
                || !(named.get("schema") instanceof Map<?, ?> schema)) {
            return Optional.empty();
        }
        JsonNode parsed = Json.mapper().valueToTree(schema);
        try {
            var _ = AnswerSchema.of(parsed, "response_format.json_schema.schema");
        } catch (InvalidField _) {
            return Optional.empty();
        }
        return Optional.of(new PromptJob.ResultRule(Json.text(parsed), job.stream() ? 0 : 1, true));
    }
}
