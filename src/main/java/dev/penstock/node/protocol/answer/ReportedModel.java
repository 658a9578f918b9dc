package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.ModelName;
import java.util.function.Consumer;

/** Reports the server's model once. Each document of a server repeats it. Not thread-safe. */
public final class ReportedModel {
    private boolean reported;

    /** @param model the document's field; it may be missing, or empty before a model has run */
    public void report(JsonNode model, Consumer<TokenEvent> events) {
        if (!reported && model.isTextual() && !model.textValue().isBlank() && ModelName.isUsable(model.textValue())) {
            reported = true;
            events.accept(new TokenEvent.Model(model.textValue()));
        }
    }
}
