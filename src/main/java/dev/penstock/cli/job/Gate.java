package dev.penstock.cli.job;

import dev.penstock.job.JobId;
import java.util.Optional;

/** The connection to the service: REST or Kafka. Thread-safe. */
public interface Gate extends AutoCloseable {
    /**
     * Submits a job and follows it.
     *
     * @return the outcome
     * @throws Problem if the job was refused, or the connection broke
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
     * @return empty if it runs, has ended, or this connection cannot find out
     */
    Optional<String> waitsFor(JobId id) throws InterruptedException;

    @Override
    void close();
}
