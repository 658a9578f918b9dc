package dev.penstock.ledger.row;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.RecordPlace;
import org.junit.jupiter.api.Test;

class JobTimelineTest {
    private static final RecordPlace RECORD = new RecordPlace("prompt-jobs", 1, 7);
    private static final JobTimeline.Event STARTED = new JobTimeline.Event(
            new EventMark(EventMark.Kind.STARTED, 2, "run", 0),
            40,
            1_000,
            new JobTimeline.Started(RECORD, "gpu-a", "vllm", "tiny"));

    private final JobTimeline running = JobTimeline.NONE.after(STARTED);

    @Test
    void a_started_has_the_record_the_attempt_and_where_it_runs() {
        assertThat(running.startedRecord()).isEqualTo(RECORD);
        assertThat(running.firstOffset()).isEqualTo(40);
        assertThat(running.startedMillis()).isEqualTo(1_000);
        assertThat(running.attempts()).isEqualTo(2);
        assertThat(running.node()).isEqualTo("gpu-a");
        assertThat(running.finishedMillis()).isNull();
    }

    @Test
    void a_void_event_moves_the_applied_offset_only() {
        JobTimeline.Event late = new JobTimeline.Event(
                new EventMark(EventMark.Kind.STARTED, 1, "other", 0),
                50,
                2_000,
                new JobTimeline.Started(RECORD, "gpu-b", "ollama", "large"));
        assertThat(running.accepts(late)).isFalse();

        assertThat(running.after(late).appliedOffset()).isEqualTo(50);
        assertThat(running.after(late))
                .usingRecursiveComparison()
                .ignoringFields("appliedOffset")
                .isEqualTo(running);
    }

    @Test
    void a_repeat_changes_nothing() {
        assertThat(running.after(STARTED)).isSameAs(running);
    }

    @Test
    void an_outcome_closes_it_and_keeps_where_it_ran() {
        JobTimeline closed = running.after(
                new JobTimeline.Event(new EventMark(EventMark.Kind.COMPLETED, 2, "run", 3), 60, 3_000, null));

        assertThat(closed.reading().isClosed()).isTrue();
        assertThat(closed.outcomeOffset()).isEqualTo(60);
        assertThat(closed.finishedMillis()).isEqualTo(3_000);
        assertThat(closed.node()).isEqualTo("gpu-a");
        assertThat(closed.firstOffset()).isEqualTo(40);
    }

    @Test
    void a_topic_with_another_name_changes_the_record_only() {
        assertThat(running.ofTopic("prompt-jobs", "prompt-jobs@1").startedRecord())
                .isEqualTo(new RecordPlace("prompt-jobs@1", 1, 7));
        assertThat(running.ofTopic("prompt-jobs", "prompt-jobs@1"))
                .usingRecursiveComparison()
                .ignoringFields("startedRecord")
                .isEqualTo(running);
        assertThat(running.ofTopic("another", "name")).isSameAs(running);
    }
}
