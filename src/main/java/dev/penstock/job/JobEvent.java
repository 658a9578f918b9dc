package dev.penstock.job;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An event of a job, as readers see it. The event's attempt, run and sequence number are in its {@link EventMark}. */
public sealed interface JobEvent {
    EventMark.Kind kind();

    /**
     * An attempt has got a slot at a node. This event comes once per attempt, before the request to the node.
     *
     * @param resumedFrom the chunk after which the text goes on; null if the text starts over
     */
    record Started(
            String node,
            String backend,
            String model,
            Instant at,
            RecordPlace record,
            Map<String, String> metadata,
            PublishedText.@Nullable Place resumedFrom)
            implements JobEvent {
        /** Returns the same event for an attempt that publishes the whole text again. */
        public Started startingOver() {
            return new Started(node, backend, model, at, record, metadata, null);
        }

        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.STARTED;
        }
    }

    /** A piece of the answer; never empty. */
    record Chunk(Answer.Head head, List<TokenEvent> deltas) implements JobEvent {
        public Chunk {
            deltas = List.copyOf(deltas);
        }

        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.CHUNK;
        }
    }

    /** @param truncated true if the whole answer does not fit into a record; then only the chunks have its text */
    record Completed(Answer answer, boolean truncated, Execution execution, Map<String, String> metadata)
            implements JobEvent {
        /** Returns this outcome without its text. */
        public Completed withoutText() {
            return new Completed(answer.withoutText(), true, execution, metadata);
        }

        /** Returns this outcome for an attempt that publishes the whole text again. */
        public Completed startingOver() {
            return new Completed(answer, truncated, execution.withoutSegments(), metadata);
        }

        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.COMPLETED;
        }
    }

    /** @param execution the figures of the attempt that led to this failure; null if no attempt did */
    record Failed(JobFailure failure, @Nullable Execution execution, Map<String, String> metadata) implements JobEvent {
        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.FAILED;
        }
    }

    record Cancelled(@Nullable Execution execution, Map<String, String> metadata) implements JobEvent {
        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.CANCELLED;
        }
    }

    /** @param early why the job ended before its deadline; null if its deadline is over */
    record Expired(
            @Nullable Execution execution,
            Map<String, String> metadata,
            @Nullable JobFailure early) implements JobEvent {
        /** Creates the outcome of a job whose deadline is over. */
        public Expired(@Nullable Execution execution, Map<String, String> metadata) {
            this(execution, metadata, null);
        }

        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.EXPIRED;
        }
    }

    /**
     * A record is not a valid job.
     *
     * @param deadLetter the place of the record on the dead-letter topic
     */
    record Rejected(RecordPlace record, RecordPlace deadLetter, JobFailure failure) implements JobEvent {
        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.REJECTED;
        }
    }

    /**
     * The figures of the attempt that led to an outcome.
     *
     * @param queuedMillis the time from acceptance to the first {@code started} of this run
     * @param firstTokenMillis the time from the start of the attempt to its first token; null if no token came
     * @param totalMillis the time from acceptance to the outcome
     * @param attempts the number of attempts so far, over the whole life of the job
     * @param ignoredParameters the fields of the request for which the backend has no equivalent
     * @param segments which attempt wrote which part of the text; empty if one attempt wrote all of it
     * @param usageAllAttempts what the nodes of all attempts counted together; null if there was only one attempt
     * @param droppedTurns the number of the oldest turns of the chat that the request to the node did not have
     */
    record Execution(
            String node,
            String backend,
            String model,
            long queuedMillis,
            @Nullable Long firstTokenMillis,
            long totalMillis,
            int attempts,
            List<String> ignoredParameters,
            List<PublishedText.Segment> segments,
            @Nullable Usage usageAllAttempts,
            int droppedTurns) {
        public Execution {
            ignoredParameters = List.copyOf(ignoredParameters);
            segments = List.copyOf(segments);
        }

        Execution withoutSegments() {
            return new Execution(
                    node,
                    backend,
                    model,
                    queuedMillis,
                    firstTokenMillis,
                    totalMillis,
                    attempts,
                    ignoredParameters,
                    List.of(),
                    usageAllAttempts,
                    droppedTurns);
        }
    }
}
