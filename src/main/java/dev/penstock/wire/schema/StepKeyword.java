package dev.penstock.wire.schema;

import com.fasterxml.jackson.databind.JsonNode;
import com.networknt.schema.AbstractJsonValidator;
import com.networknt.schema.AbstractKeyword;
import com.networknt.schema.ExecutionContext;
import com.networknt.schema.JsonNodePath;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonValidator;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.ValidationContext;
import com.networknt.schema.ValidationMessage;
import java.util.Set;

/**
 * A keyword that counts the steps of a check. {@link SchemaShape} adds it to each part of a schema. Its value is the
 * number of steps that the part needs for one value, without the parts inside it.
 */
final class StepKeyword extends AbstractKeyword {
    static final String NAME = "penstock:steps";
    /** The characters of a text that cost as much as one step. */
    private static final int CHARS = 64;
    /**
     * The validator makes a part anew for each way that leads to it, and keeps it. So each part needs memory until the
     * check ends.
     */
    private static final int NEW_PART = 100;

    private final Steps steps;

    StepKeyword(Steps steps) {
        super(NAME);
        this.steps = steps;
    }

    @Override
    public JsonValidator newValidator(
            SchemaLocation location, JsonNodePath path, JsonNode value, JsonSchema parent, ValidationContext context) {
        steps.take(NEW_PART);
        return new Counting(location, path, this, value);
    }

    private static final class Counting extends AbstractJsonValidator {
        private final Steps steps;
        private final long own;

        Counting(SchemaLocation location, JsonNodePath path, StepKeyword keyword, JsonNode value) {
            super(location, path, keyword, value);
            steps = keyword.steps;
            own = value.asLong();
        }

        @Override
        public Set<ValidationMessage> validate(
                ExecutionContext context, JsonNode node, JsonNode root, JsonNodePath place) {
            long chars = node.isTextual() ? node.textValue().length() : 0;
            steps.take(own + node.size() + chars / CHARS);
            return Set.of();
        }
    }
}
