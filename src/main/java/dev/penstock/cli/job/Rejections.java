package dev.penstock.cli.job;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Decides which {@code rejected} event on the reply topic ends a wait: the event of the client's own record. Without
 * an own record, it is the last such event on the topic, else the next one, if the job has no event. A record with
 * another body proves that there is another record. Owned by the thread that follows the job.
 */
public final class Rejections {
    private final @Nullable RecordPlace ours;
    private boolean caughtUp;
    private boolean jobIsThere;
    private @Nullable JsonNode last;

    public Rejections(@Nullable RecordPlace ours) {
        this.ours = ours;
    }

    /** An event of the job itself was read. */
    public void jobIsThere() {
        jobIsThere = true;
    }

    /** @throws Problem if the event ends the wait */
    public void seen(String json) throws Problem {
        JsonNode document = Json.parseLenient(json);
        JsonNode error = document == null ? null : document.get("error");
        if (error == null) {
            return;
        }
        if (ours == null) {
            boolean another = error.path("code").asText().equals(JobFailure.Code.ID_CONFLICT.wireName());
            last = another ? last : error;
            end();
        } else if (ours.equals(EventDocument.rejectedPlace(json.getBytes(StandardCharsets.UTF_8)))) {
            throw problem(error);
        }
    }

    /**
     * All events that the topic held at the start were read.
     *
     * @throws Problem if there was a rejection among them, and no event of the job
     */
    public void caughtUp() throws Problem {
        caughtUp = true;
        end();
    }

    private void end() throws Problem {
        if (last != null && caughtUp && !jobIsThere) {
            throw problem(last);
        }
    }

    public static Problem problem(JsonNode error) {
        return Problem.refused("rejected: " + ValidEvent.failure(error), error);
    }
}
