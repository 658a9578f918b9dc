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

    StepKeyword() {
        super(NAME);
    }

    @Override
    public JsonValidator newValidator(
            SchemaLocation location, JsonNodePath path, JsonNode value, JsonSchema parent, ValidationContext context) {
        return new Counting(location, path, this, value);
    }

    private static final class Counting extends AbstractJsonValidator {
        private final long steps;

        Counting(SchemaLocation location, JsonNodePath path, StepKeyword keyword, JsonNode value) {
            super(location, path, keyword, value);
            steps = value.asLong();
        }

        @Override
        public Set<ValidationMessage> validate(
                ExecutionContext context, JsonNode node, JsonNode root, JsonNodePath place) {
            if (context instanceof Steps check) {
                check.take(steps
                        + node.size()
                        + (node.isTextual() ? node.textValue().length() / CHARS : 0));
            }
            return Set.of();
        }
    }
}
