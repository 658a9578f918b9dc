package dev.penstock.api.call;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import org.jspecify.annotations.Nullable;

/** Ends a call with an error. */
public final class ApiException extends RuntimeException {
    private final transient JobFailure failure;
    private final transient @Nullable JobId id;

    public ApiException(JobFailure failure) {
        this(failure, null);
    }

    /** @param id the id of a job that may have been accepted in spite of the error; null if there is none */
    public ApiException(JobFailure failure, @Nullable JobId id) {
        super(failure.message());
        this.failure = failure;
        this.id = id;
    }

    public JobFailure failure() {
        return failure;
    }

    @Nullable
    JobId id() {
        return id;
    }
}
