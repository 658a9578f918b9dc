package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.ModelName;
import java.util.function.Consumer;

/** The model that a server says it runs, which comes with each of its documents: told once. Not thread-safe. */
final class SaidModel {
    private boolean told;

    /** @param model the document's own field; it may be missing, and it may be empty where nothing has run yet */
    void tell(JsonNode model, Consumer<TokenEvent> events) {
        if (!told && model.isTextual() && !model.textValue().isBlank() && ModelName.isUsable(model.textValue())) {
            told = true;
            events.accept(new TokenEvent.Model(model.textValue()));
        }
    }
}
