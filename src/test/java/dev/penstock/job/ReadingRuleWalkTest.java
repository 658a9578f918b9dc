package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Walks every interleaving of a few runs of one record, with lost locks, crashes and events that reach the log late.
 * The project's own {@link Reading} reads the log. Property: when the record is acknowledged, the log holds a valid
 * outcome.
 *
 * <p>A run's life: take the record (delivery d), if d &gt; 1 look up, started, (the node fails, renew, next
 * attempt)*, outcome, if d &gt; 1 look up again, acknowledge. A sent event is first in flight. It reaches the log at
 * any later moment, in the run's own order, or never if its process died.
 *
 * <p>A run whose lock is lost may adopt its record again: another run may have begun and ended in between. From then on
 * the lock was in doubt. The run looks up after its outcome, as at a later delivery. If it has decided before that to
 * acknowledge without a look-up, it releases the record.
 */
class ReadingRuleWalkTest {
    private static final int LAST_ATTEMPT = 6;
    private static final List<String> NAMES = List.of("run0", "run1", "run2");

    private enum Phase {
        TAKEN,
        RUN,
        OUTCOME,
        RECHECK,
        ACK,
        DONE
    }

    private record Run(
            Phase phase,
            int delivery,
            int attempt,
            int failuresLeft,
            List<EventMark> flight,
            boolean alive,
            boolean doubted,
            boolean settled) {
        Run to(Phase next) {
            return new Run(next, delivery, attempt, failuresLeft, flight, alive, doubted, settled);
        }

        /** A look-up found a valid outcome. */
        Run settles() {
            return new Run(Phase.ACK, delivery, attempt, failuresLeft, flight, alive, doubted, true);
        }

        Run adopts() {
            return new Run(phase, delivery, attempt, failuresLeft, flight, alive, true, settled);
        }

        Run sends(Phase next, int newAttempt, int failures, EventMark... events) {
            List<EventMark> more = new ArrayList<>(flight);
            more.addAll(List.of(events));
            return new Run(next, delivery, newAttempt, failures, List.copyOf(more), alive, doubted, settled);
        }

        Run flying(List<EventMark> rest) {
            return new Run(phase, delivery, attempt, failuresLeft, rest, alive, doubted, settled);
        }

        Run dead() {
            return new Run(phase, delivery, attempt, failuresLeft, flight, false, doubted, settled);
        }
    }

    private record State(
            List<EventMark> log,
            List<Run> runs,
            @Nullable Integer owner,
            int deliveries,
            int adoptions,
            boolean acknowledged) {
        State with(int i, Run run) {
            List<Run> changed = new ArrayList<>(runs);
            changed.set(i, run);
            return new State(log, List.copyOf(changed), owner, deliveries, adoptions, acknowledged);
        }

        State owned(@Nullable Integer newOwner) {
            return new State(log, runs, newOwner, deliveries, adoptions, acknowledged);
        }

        State lands(List<EventMark> newLog) {
            return new State(newLog, runs, owner, deliveries, adoptions, acknowledged);
        }

        State adoptedBy(int i) {
            return new State(log, runs, i, deliveries + 1, adoptions + 1, acknowledged)
                    .with(i, runs.get(i).adopts());
        }

        Reading read() {
            Reading reading = Reading.START;
            for (EventMark event : log) {
                reading = reading.after(event);
            }
            return reading;
        }
    }

    /** The parts of rule 5. */
    private enum Rule {
        /** A run of a record that was delivered before looks up after its outcome. */
        LOOKS_AGAIN,
        /** So does a run that has adopted its record. */
        LOOKS_WHEN_IN_DOUBT,
        /** A run that has not looked up does not acknowledge a record that was in doubt. */
        RELEASES_WHEN_IN_DOUBT
    }

    private record Limits(int runs, int failures, int adoptions, Set<Rule> rules) {
        Limits without(Rule... some) {
            return new Limits(runs, failures, adoptions, EnumSet.complementOf(EnumSet.copyOf(List.of(some))));
        }
    }

    private static Limits limits(int runs, int failures, int adoptions) {
        return new Limits(runs, failures, adoptions, EnumSet.allOf(Rule.class));
    }

    @ParameterizedTest
    @CsvSource({"2, 1, 0", "3, 0, 0", "2, 0, 1", "2, 1, 1", "2, 0, 2"})
    void no_walk_acknowledges_without_a_valid_outcome(int runs, int failures, int adoptions) {
        assertThat(walk(limits(runs, failures, adoptions)))
                .as("acknowledged without a valid outcome")
                .isNull();
    }

    @Test
    void without_the_second_look_up_the_walk_finds_the_loss() {
        assertThat(walk(limits(2, 1, 0).without(Rule.LOOKS_AGAIN)))
                .as("a state that breaks the rule")
                .isNotNull();
    }

    @Test
    void a_run_that_adopts_its_record_and_trusts_its_outcome_loses_the_job() {
        assertThat(walk(limits(2, 0, 1).without(Rule.LOOKS_WHEN_IN_DOUBT, Rule.RELEASES_WHEN_IN_DOUBT)))
                .as("a state that breaks the rule")
                .isNotNull();
    }

    /** The record comes into doubt after the run has decided. */
    @Test
    void a_look_up_alone_comes_too_early() {
        assertThat(walk(limits(2, 0, 1).without(Rule.RELEASES_WHEN_IN_DOUBT)))
                .as("a state that breaks the rule")
                .isNotNull();
    }

    /** The look-up only saves a delivery. */
    @Test
    void the_release_alone_is_enough() {
        assertThat(walk(limits(2, 0, 1).without(Rule.LOOKS_WHEN_IN_DOUBT)))
                .as("acknowledged without a valid outcome")
                .isNull();
    }

    /** @return a state in which the record is acknowledged without a valid outcome in the log; null if there is none */
    private static @Nullable State walk(Limits limits) {
        State first = new State(List.of(), List.of(), null, 0, 0, false);
        Set<State> seen = new HashSet<>(Set.of(first));
        Deque<State> todo = new ArrayDeque<>(Set.of(first));
        Map<Boolean, Integer> acknowledged = new HashMap<>();
        while (!todo.isEmpty()) {
            State state = todo.poll();
            if (state.acknowledged() && !state.read().isClosed()) {
                return state;
            }
            acknowledged.merge(state.acknowledged(), 1, Integer::sum);
            for (State next : steps(state, limits)) {
                if (seen.add(next)) {
                    todo.add(next);
                }
            }
        }
        assertThat(acknowledged.getOrDefault(true, 0))
                .as("the walk gets to the end")
                .isPositive();
        return null;
    }

    private static List<State> steps(State state, Limits limits) {
        List<State> next = new ArrayList<>();
        boolean mayBegin = state.runs().size() < limits.runs();
        boolean mayAdopt = state.adoptions() < limits.adoptions();
        if (state.owner() == null && !state.acknowledged() && mayBegin) {
            List<Run> runs = new ArrayList<>(state.runs());
            runs.add(new Run(Phase.TAKEN, state.deliveries() + 1, 0, limits.failures(), List.of(), true, false, false));
            next.add(new State(
                    state.log(), List.copyOf(runs), runs.size() - 1, state.deliveries() + 1, state.adoptions(), false));
        }
        if (state.owner() != null && (mayBegin || mayAdopt)) {
            next.add(state.owned(null));
        }
        for (int i = 0; i < state.runs().size(); i++) {
            Run run = state.runs().get(i);
            if (!run.flight().isEmpty()) {
                List<EventMark> log = new ArrayList<>(state.log());
                log.add(run.flight().getFirst());
                Run landed = run.flying(
                        List.copyOf(run.flight().subList(1, run.flight().size())));
                next.add(state.lands(List.copyOf(log)).with(i, landed));
                if (!run.alive()) {
                    next.add(state.with(i, run.flying(List.of())));
                }
            }
            if (run.alive()) {
                if (mayAdopt && state.owner() == null && !state.acknowledged() && run.phase() != Phase.DONE) {
                    next.add(state.adoptedBy(i));
                    // or the record does not come again, and the run stops
                    next.add(state.with(i, run.to(Phase.DONE)));
                }
                if (mayBegin && run.phase() != Phase.DONE) {
                    State dead = state.with(i, run.dead());
                    next.add(owns(state, i) ? dead.owned(null) : dead);
                }
                act(state, i, limits, next);
            }
        }
        return next;
    }

    private static boolean owns(State state, int i) {
        return state.owner() != null && state.owner() == i;
    }

    private static void act(State state, int i, Limits limits, List<State> next) {
        Run run = state.runs().get(i);
        boolean redelivered = run.delivery() > 1;
        boolean looks = redelivered
                ? limits.rules().contains(Rule.LOOKS_AGAIN)
                : run.doubted() && limits.rules().contains(Rule.LOOKS_WHEN_IN_DOUBT);
        switch (run.phase()) {
            case TAKEN -> {
                Reading reading = redelivered ? state.read() : Reading.START;
                int attempt = reading.nextRunAttempt();
                next.add(state.with(
                        i,
                        reading.isClosed()
                                ? run.settles()
                                : run.sends(Phase.RUN, attempt, run.failuresLeft(), started(attempt, i))));
            }
            case RUN -> {
                if (run.failuresLeft() > 0) {
                    int attempt = run.attempt() + 1;
                    next.add(state.with(
                            i,
                            owns(state, i)
                                    ? run.sends(Phase.RUN, attempt, run.failuresLeft() - 1, started(attempt, i))
                                    : run.to(Phase.DONE)));
                }
                next.add(state.with(
                        i, run.sends(Phase.OUTCOME, run.attempt(), run.failuresLeft(), completed(run.attempt(), i))));
            }
            case OUTCOME -> {
                if (run.flight().isEmpty()) {
                    next.add(state.with(i, run.to(looks ? Phase.RECHECK : Phase.ACK)));
                }
            }
            case RECHECK -> {
                Reading reading = state.read();
                if (reading.isClosed()) {
                    next.add(state.with(i, run.settles()));
                } else if (reading.attempt() < LAST_ATTEMPT) {
                    int attempt = reading.nextRunAttempt();
                    next.add(state.with(
                            i,
                            run.sends(
                                    Phase.OUTCOME,
                                    attempt,
                                    run.failuresLeft(),
                                    started(attempt, i),
                                    completed(attempt, i))));
                }
            }
            case ACK -> {
                State done = state.with(i, run.to(Phase.DONE));
                boolean releases =
                        run.doubted() && !run.settled() && limits.rules().contains(Rule.RELEASES_WHEN_IN_DOUBT);
                next.add(
                        owns(state, i)
                                ? new State(
                                        done.log(), done.runs(), null, done.deliveries(), done.adoptions(), !releases)
                                : done);
            }
            case DONE -> {}
        }
    }

    private static EventMark started(int attempt, int run) {
        return new EventMark(EventMark.Kind.STARTED, attempt, NAMES.get(run), 0);
    }

    private static EventMark completed(int attempt, int run) {
        return new EventMark(EventMark.Kind.COMPLETED, attempt, NAMES.get(run), 1);
    }
}
