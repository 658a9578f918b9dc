package dev.penstock.ledger.database;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import java.util.Map;

/** The change that the record of some job makes in the ledger. */
public final class SubmittedJob {
    private SubmittedJob() {}

    /** @param millis when the record came */
    public static JobRow.Change at(String topic, int partition, long offset, long millis) {
        RecordStamp stamp = new RecordStamp(millis, new RecordPlace(topic, partition, offset));
        return new JobRow.Change.Submitted(
                new Submission(
                        stamp,
                        "hash",
                        Task.CHAT,
                        Priority.NORMAL,
                        "default",
                        "tiny",
                        1_000,
                        null,
                        PromptJob.Pins.NONE,
                        Map.of(),
                        null),
                "{}");
    }
}
