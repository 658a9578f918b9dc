package dev.penstock.schedule.preempt;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Which running attempt stops for a waiting job of higher priority. */
class PreemptionTest {
    private static final Preemption.Need ANY = new Preemption.Need(Priority.HIGH, _ -> true, false);

    private static Preemption.Candidate running(Priority priority, int preemptions, RunningAttempt attempt) {
        return new Preemption.Candidate(priority, "prompt-jobs", preemptions, attempt);
    }

    private static RunningAttempt attempt(String node, long left) {
        RunningAttempt attempt = new RunningAttempt(node);
        attempt.wrote(OptionalLong.of(left), null, 0, 0);
        return attempt;
    }

    private static @Nullable String victim(Preemption.Need need, Preemption.Candidate... running) {
        return Preemption.victim(need, List.of(running))
                .map(RunningAttempt::node)
                .orElse(null);
    }

    @Test
    void the_one_with_the_most_left_stops() {
        assertThat(victim(
                        ANY,
                        running(Priority.LOW, 0, attempt("a", 10)),
                        running(Priority.LOW, 0, attempt("b", 30)),
                        running(Priority.LOW, 0, attempt("c", 20))))
                .isEqualTo("b");
    }

    @Test
    void with_as_much_left_the_lower_priority_stops() {
        assertThat(victim(
                        ANY, running(Priority.LOW, 0, attempt("a", 10)), running(Priority.NORMAL, 0, attempt("b", 10))))
                .isEqualTo("a");
    }

    @Test
    void only_a_strictly_lower_priority_stops() {
        Preemption.Need normal = new Preemption.Need(Priority.NORMAL, _ -> true, false);

        assertThat(victim(ANY, running(Priority.HIGH, 0, attempt("a", 10)))).isNull();
        assertThat(victim(normal, running(Priority.NORMAL, 0, attempt("a", 10))))
                .isNull();
        assertThat(victim(normal, running(Priority.LOW, 0, attempt("a", 10)))).isEqualTo("a");
    }

    @Test
    void only_a_node_and_a_topic_that_help_count() {
        Preemption.Need need = new Preemption.Need(
                Priority.HIGH,
                running -> running.node().equals("b") && running.topic().equals("prompt-jobs"),
                true);

        assertThat(victim(need, running(Priority.LOW, 0, attempt("a", 90)), running(Priority.LOW, 0, attempt("b", 1))))
                .isEqualTo("b");
        assertThat(victim(need, new Preemption.Candidate(Priority.LOW, "other", 0, attempt("b", 1))))
                .isNull();
    }

    @Test
    void an_answer_that_cannot_go_on_later_is_left_alone() {
        RunningAttempt tools = attempt("a", 90);
        tools.mayStop(false);

        assertThat(victim(ANY, running(Priority.LOW, 0, tools))).isNull();
        tools.mayStop(true);
        assertThat(victim(ANY, running(Priority.LOW, 0, tools))).isEqualTo("a");
    }

    @Test
    void a_run_that_was_stopped_three_times_is_left_alone() {
        assertThat(victim(ANY, running(Priority.LOW, 2, attempt("a", 10)))).isEqualTo("a");
        assertThat(victim(ANY, running(Priority.LOW, 3, attempt("a", 10)))).isNull();
    }

    @Test
    void each_wait_asks_once_and_no_attempt_is_asked_twice() {
        Preemption preemption = new Preemption();
        RunningAttempt one = attempt("a", 10);
        RunningAttempt two = attempt("a", 20);
        preemption.began(1, running(Priority.LOW, 0, one));
        preemption.began(2, running(Priority.LOW, 0, two));
        preemption.waits(7, () -> Optional.of(ANY));

        preemption.askForWaiting();
        preemption.askForWaiting();

        assertThat(two.isAsked()).isTrue();
        assertThat(one.isAsked()).isFalse();

        preemption.waits(8, () -> Optional.of(new Preemption.Need(Priority.HIGH, _ -> true, true)));
        preemption.askForWaiting();

        assertThat(one.isAsked()).isTrue();
        assertThat(one.givesReplicaSlot()).isTrue();
        assertThat(two.givesReplicaSlot()).isFalse();
    }

    @Test
    void a_job_that_lacks_nothing_or_waits_no_more_asks_nothing() {
        Preemption preemption = new Preemption();
        RunningAttempt attempt = attempt("a", 10);
        preemption.began(1, running(Priority.LOW, 0, attempt));
        preemption.waits(7, Optional::empty);
        preemption.waits(8, () -> Optional.of(ANY));
        preemption.waitsNoMore(8);

        preemption.askForWaiting();

        assertThat(attempt.isAsked()).isFalse();
    }

    @Test
    void what_is_left_is_the_limit_or_the_mean_answer_less_what_it_has() {
        RunningAttempt attempt = new RunningAttempt("a");
        assertThat(attempt.left()).as("nothing is known").isEqualTo(512);

        attempt.wrote(OptionalLong.of(100), 50L, 30, 80);
        assertThat(attempt.left()).as("the limit of the rest").isEqualTo(70);

        attempt.wrote(OptionalLong.empty(), 50L, 3, 20);
        assertThat(attempt.left()).as("the mean").isEqualTo(30);

        attempt.wrote(OptionalLong.empty(), 50L, 3, 70);
        assertThat(attempt.left()).as("longer than usual").isZero();

        attempt.wrote(OptionalLong.empty(), null, 12, 12);
        assertThat(attempt.left()).as("no mean").isEqualTo(500);
    }

    @Test
    void if_the_attempt_ends_otherwise_the_waiting_job_stops_another_one() {
        Preemption preemption = new Preemption();
        RunningAttempt first = attempt("a", 30);
        RunningAttempt second = attempt("b", 10);
        preemption.began(1, running(Priority.LOW, 0, first));
        preemption.began(2, running(Priority.LOW, 0, second));
        preemption.waits(3, () -> Optional.of(ANY));
        preemption.askForWaiting();
        assertThat(first.isAsked()).isTrue();
        preemption.askForWaiting();
        assertThat(second.isAsked()).as("one in a wait").isFalse();

        preemption.ended(1);
        preemption.askForWaiting();

        assertThat(second.isAsked()).isTrue();
    }

    @Test
    void an_attempt_that_stopped_is_enough() {
        Preemption preemption = new Preemption();
        RunningAttempt second = attempt("b", 10);
        preemption.began(1, running(Priority.LOW, 0, attempt("a", 30)));
        preemption.began(2, running(Priority.LOW, 0, second));
        preemption.waits(3, () -> Optional.of(ANY));
        preemption.askForWaiting();
        preemption.stopped(1);
        preemption.ended(1);
        preemption.askForWaiting();

        assertThat(second.isAsked()).isFalse();
    }
}
