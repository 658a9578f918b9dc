package dev.penstock.wire;

import dev.penstock.job.JobFailure;

/** A field is wrong. It is thrown inside this package only, and callers get it as a {@link JobFailure}. */
final class InvalidField extends Exception {
    private final transient JobFailure failure;

    InvalidField(String path, String message) {
        super(message);
        failure = JobFailure.invalid(path, message);
    }

    InvalidField(JobFailure failure) {
        super(failure.message());
        this.failure = failure;
    }

    InvalidField(String path, String message, Throwable cause) {
        super(message, cause);
        failure = JobFailure.invalid(path, message);
    }

    JobFailure failure() {
        return failure;
    }
}
