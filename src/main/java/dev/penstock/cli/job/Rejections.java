package dev.penstock.cli.job;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Decides which {@code rejected} event on the reply topic ends the wait for a job. If the client wrote a record, only
 * the rejection of this record ends the wait. If it did not, and the topic has no event of the job itself, the last
 * rejection on the topic ends the wait. If the topic has no rejection, the next one ends it. The code {@code
 * id_conflict} does not count, because it proves that another record has the same id. Owned by the thread that follows
 * the job.
 */
public final class Rejections {
    private final @Nullable RecordPlace ours;
    private boolean caughtUp;
    private boolean jobIsThere;
    private @Nullable JsonNode last;

    public Rejections(@Nullable RecordPlace ours) {
        this.ours = ours;
    }

    /** Notes that an event of the job itself was read. */
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
     * Notes that the client has read all events that the topic held at the start.
     *
     * @throws Problem if these events include a rejection, and no event of the job
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
