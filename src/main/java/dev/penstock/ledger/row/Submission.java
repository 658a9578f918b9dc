package dev.penstock.ledger.row;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The parts of one job record that the ledger keeps. It is a pure function of the record.
 *
 * @param bodyHash the hash of the body; two records with the same id and different hashes have different bodies
 * @param pins the pool or the node that the request requires
 * @param timeoutMillis the longest running time, counted from the first {@code started}
 * @param deadlineMillis the deadline, in milliseconds since 1970; null if there is none
 * @param webhook the name of the webhook that gets the outcome; null for none
 */
public record Submission(
        RecordStamp stamp,
        String bodyHash,
        Task task,
        Priority priority,
        String tenant,
        @Nullable String model,
        long timeoutMillis,
        @Nullable Long deadlineMillis,
        PromptJob.Pins pins,
        Map<String, String> metadata,
        @Nullable String webhook) {
    public Submission {
        metadata = Map.copyOf(metadata);
    }

    public static Submission of(PromptJob job, RecordStamp stamp, String bodyHash) {
        return new Submission(
                stamp,
                bodyHash,
                job.task(),
                job.priority(),
                job.tenant(),
                job.model(),
                job.timeout().toMillis(),
                job.deadline() == null ? null : job.deadline().toEpochMilli(),
                job.pins(),
                job.metadata(),
                job.webhook());
    }

    Submission ofTopic(String topic, String name) {
        return new Submission(
                stamp.ofTopic(topic, name),
                bodyHash,
                task,
                priority,
                tenant,
                model,
                timeoutMillis,
                deadlineMillis,
                pins,
                metadata,
                webhook);
    }

    /** Returns the parts that remain after the retention. */
    Submission slim() {
        return new Submission(
                stamp,
                bodyHash,
                task,
                priority,
                tenant,
                null,
                timeoutMillis,
                deadlineMillis,
                PromptJob.Pins.NONE,
                Map.of(),
                null);
    }
}
