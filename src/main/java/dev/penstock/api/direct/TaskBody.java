package dev.penstock.api.direct;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Task;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;

/** Reads the body of an API that has one task, and streams no answer. */
public final class TaskBody {
    private TaskBody() {}

    /**
     * Returns the body as a request for this task. {@link DirectCalls} checks all of its other fields.
     *
     * @param json a JSON object
     */
    public static ObjectNode of(byte[] json, Task task) throws InvalidField {
        JsonNode given;
        try {
            given = Json.parseStrict(json);
        } catch (Json.MalformedJson e) {
            throw new InvalidField(e.failure());
        }
        if (!(given instanceof ObjectNode body)) {
            throw new InvalidField("$", "expected a JSON object, got " + Fields.kind(given));
        }
        return of(body, task);
    }

    /** Returns the body as a request for this task. */
    public static ObjectNode of(ObjectNode body, Task task) throws InvalidField {
        if (new Fields("", body).flag("stream").orElse(false)) {
            throw new InvalidField("stream", "the answer of this call comes as a whole: leave it out");
        }
        JsonNode job = body.path("job");
        if (!job.isObject() && !job.isMissingNode() && !job.isNull()) {
            throw new InvalidField("job", "expected an object, got " + Fields.kind(job));
        }
        Task given = new Fields("job.", job).oneOf("task", Task.values()).orElse(task);
        if (given != task) {
            throw new InvalidField("job.task", "'%s' does not fit this call".formatted(given.wireName()));
        }
        ObjectNode request = body.deepCopy().put("stream", false);
        request.withObjectProperty("job").put("task", task.wireName());
        return request;
    }
}
