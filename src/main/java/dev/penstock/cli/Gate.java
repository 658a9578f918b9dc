package dev.penstock.cli;

import dev.penstock.job.JobId;
import java.util.Optional;

/** The way into the service and back: REST or Kafka. May be used by many threads. */
sealed interface Gate extends AutoCloseable permits RestGate, KafkaGate {
    /**
     * Submits a job and follows it.
     *
     * @return the outcome
     * @throws Problem where the job was refused, or the way broke off
     */
    ValidEvent submit(Draft draft, EventListener listener) throws Problem, InterruptedException;

    /**
     * Follows a job from its beginning.
     *
     * @return the outcome
     */
    ValidEvent watch(JobId id, EventListener listener) throws Problem, InterruptedException;

    /**
     * Why a job does not run now.
     *
     * @return empty: it does, it has ended, or this way does not say it
     */
    Optional<String> waitsFor(JobId id) throws InterruptedException;

    @Override
    void close();
}
