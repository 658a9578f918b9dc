package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import org.jspecify.annotations.Nullable;

/**
 * The end of a job, as the end of a response.
 *
 * @param output the output items; empty if the job has no answer
 * @param usage null if the outcome has none
 */
record JobOutcome(
        ResponseObject.Ending ending,
        ArrayNode output,
        @Nullable Usage usage) {

    /** @param document the outcome, or the refusal of the job's record */
    static JobOutcome of(EventMark.Kind kind, JsonNode document, ResponseHead head) {
        return switch (kind) {
            case COMPLETED -> {
                OutputEvents output = OutputEvents.of(head, ChatDeltas.of(document));
                yield new JobOutcome(output.ending(), output.output(), ResponseObject.usage(document.path("usage")));
            }
            case CANCELLED -> new JobOutcome(ResponseObject.Ending.CANCELLED, none(), null);
            case EXPIRED -> failed(document, "expired", "the response did not end before its deadline");
            case FAILED, REJECTED, STARTED, CHUNK -> failed(document, "internal", "the response failed");
        };
    }

    private static JobOutcome failed(JsonNode document, String code, String message) {
        JsonNode error = document.path("error");
        return new JobOutcome(
                ResponseObject.Ending.failed(ResponseObject.error(
                        error.path("code").asText(code), error.path("message").asText(message))),
                none(),
                null);
    }

    private static ArrayNode none() {
        return Json.mapper().createArrayNode();
    }
}
