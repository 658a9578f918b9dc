package dev.penstock.ledger.row;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class SubmissionsTest {
    /** A producer gives all its records one id. Each of them but the first has another body, and is refused. */
    @Test
    @Timeout(60)
    void one_id_on_every_record_makes_no_row_without_bounds() {
        List<Submission> records =
                IntStream.range(0, 50_000).mapToObj(SubmissionsTest::record).toList();
        List<RecordStamp> refusals =
                records.stream().skip(1).map(Submission::stamp).toList();

        Submissions submissions = Submissions.NONE;
        for (int from = 0; from < records.size(); from += 500) {
            submissions = submissions.with(records.subList(from, from + 500), List.of());
            submissions = submissions.with(List.of(), refusals.subList(from, Math.min(refusals.size(), from + 500)));
        }

        assertThat(submissions.chosen()).contains(records.getFirst());
        assertThat(submissions.standing()).containsExactly(records.getFirst());
        assertThat(submissions.records()).hasSize(Submissions.MOST);
        assertThat(submissions.refused()).hasSizeLessThanOrEqualTo(Submissions.MOST);
        assertThat(submissions.leftOut())
                .as("what the audit needs of the others")
                .isEqualTo(Map.of(
                        new TopicPartition("prompt-jobs", 0), 24_999L, new TopicPartition("prompt-jobs", 1), 24_999L));
        assertThat(Submissions.ofJson(submissions.toJson())).isEqualTo(submissions);
    }

    @Test
    void a_refusal_that_comes_before_its_record_strikes_it_out() {
        List<Submission> records = IntStream.range(0, Submissions.MOST + 2)
                .mapToObj(SubmissionsTest::record)
                .toList();
        Submission late = records.getFirst();

        Submissions submissions = Submissions.NONE
                .with(List.of(), List.of(late.stamp()))
                .with(
                        records.subList(1, records.size()).stream()
                                .filter(record -> record.stamp().place().partition() == 1)
                                .toList(),
                        List.of())
                .with(records, List.of());

        assertThat(submissions.records()).contains(late);
        assertThat(submissions.chosen()).contains(records.get(1));
    }

    /** Partitions take turns. */
    private static Submission record(int i) {
        RecordStamp stamp = new RecordStamp(1_000L + i, new RecordPlace("prompt-jobs", i % 2, i / 2));
        return new Submission(
                stamp,
                "hash-" + i,
                Task.CHAT,
                Priority.NORMAL,
                "default",
                "tiny",
                1_000,
                null,
                PromptJob.Pins.NONE,
                Map.of(),
                i % 2 == 0 ? "orders" : null);
    }
}
