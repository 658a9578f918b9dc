package dev.penstock.api.admin;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;

/** Reads the bodies of calls that submit no job. */
final class Bodies {
    private Bodies() {}

    /** Returns the JSON object in a body. */
    static ObjectNode object(byte[] body) {
        try {
            var _ = Json.parseStrict(body);
        } catch (Json.MalformedJson e) {
            throw new ApiException(e.failure());
        }
        // parsed in the same way as stored documents, so that the two can be compared
        if (Json.parseLenient(new String(body, StandardCharsets.UTF_8)) instanceof ObjectNode object) {
            return object;
        }
        throw new ApiException(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "expected a JSON object"));
    }
}
