package dev.penstock.wire.document;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.io.IOException;

/**
 * Writes errors in OpenAI's form. A job's error also has the fields retryable and node. The error of an answer that does
 * not fit its schema has the fields violations and text.
 */
public final class ErrorDocument {
    private static final String TEXT = "text";

    private ErrorDocument() {}

    /** Returns {@code {"error":{message,type,param,code}}}, the form of REST answers. */
    public static ObjectNode of(JobFailure failure) {
        ObjectNode document = Json.mapper().createObjectNode();
        ObjectNode error = document.putObject("error")
                .put("message", failure.message())
                .put("type", failure.code().type())
                .put("param", failure.param())
                .put("code", failure.code().wireName());
        JobFailure.Misfit misfit = failure.misfit();
        if (misfit != null) {
            error.set("violations", violations(misfit));
            if (!misfit.text().isEmpty()) {
                error.put(TEXT, misfit.shortText());
            }
        }
        return document;
    }

    private static ArrayNode violations(JobFailure.Misfit misfit) {
        ArrayNode violations = Json.mapper().createArrayNode();
        misfit.violations()
                .forEach(one -> violations.addObject().put("path", one.path()).put("message", one.message()));
        return violations;
    }

    /** Returns the error of an event without the text of an answer, which may be large. */
    public static JsonNode withoutText(JsonNode error) {
        return error instanceof ObjectNode object ? object.without(TEXT) : error;
    }

    /** Writes the field {@code error} of a job's event. */
    static void writeField(JsonGenerator json, JobFailure failure) throws IOException {
        json.writeObjectFieldStart("error");
        json.writeStringField("message", failure.message());
        json.writeStringField("type", failure.code().type());
        if (failure.param() != null) {
            json.writeStringField("param", failure.param());
        }
        json.writeStringField("code", failure.code().wireName());
        json.writeBooleanField("retryable", failure.retryable());
        if (failure.node() != null) {
            json.writeStringField("node", failure.node());
        }
        JobFailure.Misfit misfit = failure.misfit();
        if (misfit != null) {
            json.writePOJOField("violations", violations(misfit));
            if (!misfit.text().isEmpty()) {
                json.writeStringField(TEXT, misfit.shortText());
            }
        }
        json.writeEndObject();
    }
}
