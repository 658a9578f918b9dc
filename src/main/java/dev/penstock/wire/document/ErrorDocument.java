package dev.penstock.wire.document;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.io.IOException;

/** Writes errors in OpenAI's form. A job's error also has the fields retryable and node. */
public final class ErrorDocument {
    private ErrorDocument() {}

    /** Returns {@code {"error":{message,type,param,code}}}, the form of REST answers. */
    public static ObjectNode of(JobFailure failure) {
        ObjectNode document = Json.mapper().createObjectNode();
        document.putObject("error")
                .put("message", failure.message())
                .put("type", failure.code().type())
                .put("param", failure.param())
                .put("code", failure.code().wireName());
        return document;
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
        json.writeEndObject();
    }
}
