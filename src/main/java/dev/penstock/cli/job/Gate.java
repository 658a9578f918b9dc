package dev.penstock.cli.job;

import dev.penstock.job.JobId;
import java.util.Optional;

/** A connection to the service, over REST or Kafka. Thread-safe. */
public interface Gate extends AutoCloseable {
    /**
     * Submits a job and follows it.
     *
     * @return the outcome
     * @throws Problem if the job is refused, or the connection breaks
     */
    ValidEvent submit(Draft draft, EventListener listener) throws Problem, InterruptedException;

    /**
     * Follows a job from its beginning.
     *
     * @return the outcome
     */
    ValidEvent watch(JobId id, EventListener listener) throws Problem, InterruptedException;

    /**
     * Returns why a job does not run now.
     *
     * @return the reason; empty if the job runs or has ended, or if this connection cannot find the reason
     */
    Optional<String> waitsFor(JobId id) throws InterruptedException;

    @Override
    void close();
}
