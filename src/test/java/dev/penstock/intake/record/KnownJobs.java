package dev.penstock.intake.record;

import dev.penstock.job.JobId;

/** Names the job of a delivery, as the intake does when it has read the record. */
public final class KnownJobs {
    private KnownJobs() {}

    public static void name(RecordDelivery delivery, JobId job) {
        delivery.named(job);
    }
}
