package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import java.time.Duration;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Calls under a backlog of jobs, and jobs under a flood of calls. */
class PlayedLineTest {
    private static final Duration JOB = Duration.ofSeconds(2);
    private static final Duration CALL = Duration.ofMillis(300);
    private static final int BACKLOG = 10_000;

    /** One call at a time, with pauses. Each of them finds a backlog. */
    @ParameterizedTest(name = "{0} nodes with {1} slots")
    @CsvSource({"1, 1", "1, 2", "1, 4", "3, 1", "2, 8", "4, 16"})
    void under_a_backlog_of_10_000_jobs_no_call_waits_longer_than_one_job(int nodes, int slots) {
        PlayedLine line = new PlayedLine(nodes, slots, BACKLOG, JOB, CALL);
        SplittableRandom chance = new SplittableRandom(slots);
        Duration time = Duration.ZERO;
        // the backlog outlasts the calls
        int calls = Math.min(200, BACKLOG / (4 * nodes * slots));
        for (int i = 0; i < calls; i++) {
            // a call's wait, the call itself, and at a node with one slot the job that follows it
            time = time.plus(JOB).plus(CALL).plus(JOB).plusMillis(chance.nextInt(3_000));
            line.at(time, () -> line.call(Priority.LOW));
        }

        line.play(time.plus(JOB).plus(CALL));

        assertThat(line.waits)
                .hasSize(calls)
                .allSatisfy(wait -> assertThat(wait).isLessThanOrEqualTo(JOB));
        assertThat(line.waits)
                .as("they did wait")
                .anySatisfy(wait -> assertThat(wait).isPositive());
        assertThat(line.startedJobs).as("the backlog goes on").isBetween(calls * nodes * slots, BACKLOG - 1);
        assertThat(line.isBusy()).isTrue();
    }

    /** As many calls at once as slots are kept. */
    @Test
    void so_it_is_for_as_many_calls_at_once_as_slots_are_kept() {
        PlayedLine line = new PlayedLine(2, 16, BACKLOG, JOB, CALL);
        for (int i = 0; i < 20; i++) {
            line.at(Duration.ofSeconds(5L * i + 1), () -> {
                for (int call = 0; call < 8; call++) {
                    line.call(Priority.NORMAL);
                }
            });
        }

        line.play(Duration.ofSeconds(100));

        assertThat(line.waits).hasSize(160).allSatisfy(wait -> assertThat(wait).isLessThanOrEqualTo(JOB));
    }

    /** 100 calls wait at any time, all of high priority. Calls and jobs are equally long. */
    @ParameterizedTest(name = "{0} nodes with {1} slots: {2} of 100 starts are jobs")
    @CsvSource({"1, 1, 50", "1, 2, 50", "1, 4, 75", "2, 8, 75", "3, 16, 75", "2, 5, 60"})
    void a_flood_of_calls_leaves_the_jobs_their_share_of_the_starts(int nodes, int slots, int percent) {
        PlayedLine line = new PlayedLine(nodes, slots, BACKLOG, CALL, CALL);
        for (int i = 0; i < 100; i++) {
            line.at(Duration.ZERO, () -> line.call(Priority.HIGH));
        }
        for (int i = 1; i < 2_000; i++) {
            Duration time = Duration.ofMillis(100L * i);
            line.at(time, () -> {
                while (line.startedCalls + 100 > line.joinedCalls) {
                    line.call(Priority.HIGH);
                }
            });
        }

        line.play(Duration.ofSeconds(60));

        assertThat(100.0 * line.startedJobs / (line.startedJobs + line.startedCalls))
                .isBetween(percent - 1.0, percent + 1.0);
        assertThat(line.refused).isZero();
        assertThat(line.isBusy()).isTrue();
    }

    @Test
    void a_flood_beyond_the_bound_of_the_line_is_refused() {
        PlayedLine line = new PlayedLine(1, 4, BACKLOG, JOB, CALL);
        line.at(Duration.ofMillis(100), () -> {
            for (int i = 0; i < 1_500; i++) {
                line.callAndSettle();
            }
        });

        line.play(Duration.ofMillis(200));

        assertThat(line.refused).isEqualTo(500);
        assertThat(line.startedCalls).as("the jobs hold all slots").isZero();
    }

    @Test
    void without_jobs_calls_use_all_slots_and_without_calls_jobs_do() {
        PlayedLine calls = new PlayedLine(2, 8, 0, JOB, CALL);
        calls.at(Duration.ZERO, () -> {
            for (int i = 0; i < 100; i++) {
                calls.call(Priority.NORMAL);
            }
        });
        calls.play(CALL.minusMillis(1));
        PlayedLine jobs = new PlayedLine(2, 8, 100, JOB, CALL);
        jobs.play(CALL);

        assertThat(calls.startedCalls).isEqualTo(16);
        assertThat(jobs.startedJobs).isEqualTo(16);
    }
}
