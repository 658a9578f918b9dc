package dev.penstock.job;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What happens to a job, as its readers see it; the {@link EventMark} says where in its life. */
public sealed interface JobEvent {
    EventMark.Kind kind();

    /** An attempt has its slot at a node; comes once per attempt, before the request. */
    record Started(
            String node, String backend, String model, Instant at, RecordPlace record, Map<String, String> metadata)
            implements JobEvent {
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

    /** @param truncated the whole answer is too large for a record: its text is in the chunks only */
    record Completed(Answer answer, boolean truncated, Execution execution, Map<String, String> metadata)
            implements JobEvent {
        /** The same without its text. */
        public Completed withoutText() {
            return new Completed(answer.withoutText(), true, execution, metadata);
        }

        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.COMPLETED;
        }
    }

    /** @param execution null where no attempt led to it */
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

    record Expired(@Nullable Execution execution, Map<String, String> metadata) implements JobEvent {
        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.EXPIRED;
        }
    }

    /**
     * A record that is no valid job.
     *
     * @param deadLetter where it lies among the dead letters
     */
    record Rejected(RecordPlace record, RecordPlace deadLetter, JobFailure failure) implements JobEvent {
        @Override
        public EventMark.Kind kind() {
            return EventMark.Kind.REJECTED;
        }
    }

    /**
     * How the attempt that led to an outcome went.
     *
     * @param queuedMillis from acceptance to this run's first {@code started}
     * @param firstTokenMillis from the attempt's start to its first token; null where none came
     * @param totalMillis from acceptance to the outcome
     * @param attempts attempts so far, over the job's whole life
     * @param ignoredParameters fields of the request that the backend has no equivalent for
     */
    record Execution(
            String node,
            String backend,
            String model,
            long queuedMillis,
            @Nullable Long firstTokenMillis,
            long totalMillis,
            int attempts,
            List<String> ignoredParameters) {
        public Execution {
            ignoredParameters = List.copyOf(ignoredParameters);
        }
    }
}
