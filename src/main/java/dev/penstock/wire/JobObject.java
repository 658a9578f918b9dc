package dev.penstock.wire;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobId;
import dev.penstock.job.PromptJob;
import java.time.Instant;

/** A job as REST shows it. */
public final class JobObject {
    private JobObject() {}

    /** A job that was just accepted. */
    public static ObjectNode queued(PromptJob job, Instant acceptedAt) {
        ObjectNode object = Json.mapper().createObjectNode();
        object.put("id", job.id().value()).put("object", "job").put("status", "queued");
        object.put("task", job.task().wireName()).put("model", job.model());
        object.put("priority", job.priority().wireName()).put("tenant", job.tenant());
        object.put("created_at", acceptedAt.toString());
        object.putNull("started_at").putNull("finished_at").put("attempts", 0);
        object.putNull("node").putNull("backend").putNull("queue_position");
        object.putNull("response").putNull("error").putNull("usage");
        object.set("metadata", Json.mapper().valueToTree(job.metadata()));
        return object;
    }

    /** A job that is being cancelled. */
    public static ObjectNode cancelling(JobId id) {
        return Json.mapper()
                .createObjectNode()
                .put("id", id.value())
                .put("object", "job")
                .put("status", "cancelling");
    }
}
