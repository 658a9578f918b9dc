package dev.penstock.wire;

import dev.penstock.job.JobFailure;

/** Reports that a field is invalid. Parsers throw it, and their callers get a {@link JobFailure} instead. */
public final class InvalidField extends Exception {
    private final transient JobFailure failure;

    public InvalidField(String path, String message) {
        super(message);
        failure = JobFailure.invalid(path, message);
    }

    public InvalidField(JobFailure failure) {
        super(failure.message());
        this.failure = failure;
    }

    public InvalidField(String path, String message, Throwable cause) {
        super(message, cause);
        failure = JobFailure.invalid(path, message);
    }

    public JobFailure failure() {
        return failure;
    }
}
