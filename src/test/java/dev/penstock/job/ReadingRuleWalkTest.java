package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Walks every interleaving of a few runs of one record, with lost locks, crashes and events that reach the log late.
 * The project's own {@link Reading} reads the log. Property: when the record is acknowledged, the log holds a valid
 * outcome.
 *
 * <p>A run's life: take the record (delivery d), if d &gt; 1 look up, started, (the node fails, renew, next
 * attempt)*, outcome, if d &gt; 1 look up again, acknowledge. A sent event is first in flight. It reaches the log at
 * any later moment, in the run's own order, or never if its process died.
 */
class ReadingRuleWalkTest {
    private static final int LAST_ATTEMPT = 6;

    private enum Phase {
        TAKEN,
        RUN,
        OUTCOME,
        RECHECK,
        ACK,
        DONE
    }

    private record Run(
            Phase phase, int delivery, int attempt, int failuresLeft, List<EventMark> flight, boolean alive) {
        Run to(Phase next) {
            return new Run(next, delivery, attempt, failuresLeft, flight, alive);
        }

        Run sends(Phase next, int newAttempt, int failures, EventMark... events) {
            List<EventMark> more = new ArrayList<>(flight);
            more.addAll(List.of(events));
            return new Run(next, delivery, newAttempt, failures, List.copyOf(more), alive);
        }

        Run flying(List<EventMark> rest) {
            return new Run(phase, delivery, attempt, failuresLeft, rest, alive);
        }

        Run dead() {
            return new Run(phase, delivery, attempt, failuresLeft, flight, false);
        }
    }

    private record State(
            List<EventMark> log, List<Run> runs, @Nullable Integer owner, int deliveries, boolean acknowledged) {
        State with(int i, Run run) {
            List<Run> changed = new ArrayList<>(runs);
            changed.set(i, run);
            return new State(log, List.copyOf(changed), owner, deliveries, acknowledged);
        }

        State owned(@Nullable Integer newOwner) {
            return new State(log, runs, newOwner, deliveries, acknowledged);
        }

        Reading read() {
            Reading reading = Reading.START;
            for (EventMark event : log) {
                reading = reading.after(event);
            }
            return reading;
        }
    }

    /** The limits of the walk, and the part of rule 5 that is left out. */
    private record Limits(int runs, int failures, boolean looksAgain) {}

    @Test
    void two_runs_whose_nodes_fail() {
        assertThat(walk(new Limits(2, 1, true)))
                .as("acknowledged without a valid outcome")
                .isNull();
    }

    @Test
    void three_runs() {
        assertThat(walk(new Limits(3, 0, true)))
                .as("acknowledged without a valid outcome")
                .isNull();
    }

    @Test
    void without_the_second_look_up_the_walk_finds_the_loss() {
        assertThat(walk(new Limits(2, 1, false)))
                .as("a state that breaks the rule")
                .isNotNull();
    }

    /** @return a state in which the record is acknowledged without a valid outcome in the log; null if there is none */
    private static @Nullable State walk(Limits limits) {
        State first = new State(List.of(), List.of(), null, 0, false);
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
        if (state.owner() == null && !state.acknowledged() && mayBegin) {
            List<Run> runs = new ArrayList<>(state.runs());
            runs.add(new Run(Phase.TAKEN, state.deliveries() + 1, 0, limits.failures(), List.of(), true));
            next.add(new State(state.log(), List.copyOf(runs), runs.size() - 1, state.deliveries() + 1, false));
        }
        if (state.owner() != null && mayBegin) {
            next.add(state.owned(null));
        }
        for (int i = 0; i < state.runs().size(); i++) {
            Run run = state.runs().get(i);
            if (!run.flight().isEmpty()) {
                List<EventMark> log = new ArrayList<>(state.log());
                log.add(run.flight().getFirst());
                Run landed = run.flying(
                        List.copyOf(run.flight().subList(1, run.flight().size())));
                next.add(new State(
                                List.copyOf(log), state.runs(), state.owner(), state.deliveries(), state.acknowledged())
                        .with(i, landed));
                if (!run.alive()) {
                    next.add(state.with(i, run.flying(List.of())));
                }
            }
            if (run.alive()) {
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
        boolean again = run.delivery() > 1;
        switch (run.phase()) {
            case TAKEN -> {
                Reading reading = again ? state.read() : Reading.START;
                int attempt = reading.nextRunAttempt();
                next.add(state.with(
                        i,
                        reading.isClosed()
                                ? run.to(Phase.ACK)
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
                    next.add(state.with(i, run.to(again && limits.looksAgain() ? Phase.RECHECK : Phase.ACK)));
                }
            }
            case RECHECK -> {
                Reading reading = state.read();
                if (reading.isClosed()) {
                    next.add(state.with(i, run.to(Phase.ACK)));
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
                next.add(owns(state, i) ? new State(done.log(), done.runs(), null, done.deliveries(), true) : done);
            }
            case DONE -> {}
        }
    }

    private static EventMark started(int attempt, int run) {
        return new EventMark(EventMark.Kind.STARTED, attempt, "run" + run, 0);
    }

    private static EventMark completed(int attempt, int run) {
        return new EventMark(EventMark.Kind.COMPLETED, attempt, "run" + run, 1);
    }
}
