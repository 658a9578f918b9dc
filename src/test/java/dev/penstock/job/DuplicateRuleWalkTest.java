package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Walks, breadth first, all that can happen to two records of one id. Different replicas receive them, and know the
 * ledger only up to some past moment. The events are deliveries, lost locks, crashes and late events. The walk uses
 * the project's own reading rule and duplicate rule.
 *
 * <p>Properties: once both records are acknowledged, the log has a valid outcome; and when no further step is
 * possible, both are acknowledged. Each record has up to two deliveries. A duplicate is deferred until the job has an
 * outcome.
 */
class DuplicateRuleWalkTest {
    private static final int DELIVERIES = 2;
    private static final int LAST_ATTEMPT = 5;
    private static final int MOST_STATES = 500_000;

    private enum Phase {
        TAKEN,
        WAIT,
        RUN,
        OUTCOME,
        RECHECK,
        ACK,
        DONE
    }

    /** @param record 0 for the smaller record */
    private record Said(EventMark.Kind kind, int attempt, int run, int record) {}

    private record Run(Phase phase, int record, int delivery, int attempt, List<Said> flight, boolean alive) {
        Run to(Phase next) {
            return new Run(next, record, delivery, attempt, flight, alive);
        }

        Run flying(List<Said> rest) {
            return new Run(phase, record, delivery, attempt, rest, alive);
        }

        Run sends(Phase next, int newDelivery, int newAttempt, Said... said) {
            return new Run(next, record, newDelivery, newAttempt, plus(flight, said), alive);
        }
    }

    /** @param owner the run that holds it; null for none */
    private record RecordDelivery(@Nullable Integer owner, int deliveries, boolean acknowledged) {}

    private record State(List<Said> log, List<Run> runs, List<RecordDelivery> records, Set<Integer> known) {
        State with(int i, Run run) {
            List<Run> changed = new ArrayList<>(runs);
            changed.set(i, run);
            return new State(log, List.copyOf(changed), records, known);
        }

        State with(int record, RecordDelivery held) {
            List<RecordDelivery> changed = new ArrayList<>(records);
            changed.set(record, held);
            return new State(log, runs, List.copyOf(changed), known);
        }

        boolean owns(int run) {
            Integer owner = records.get(runs.get(run).record()).owner();
            return owner != null && owner == run;
        }
    }

    /** What a reader of the log knows. */
    private record Read(Reading reading, @Nullable RecordPlace named) {}

    /** A part of the rule that is left out, to show why it is needed. */
    private enum Without {
        NOTHING,
        /** A duplicate is acknowledged at once. */
        WAITING,
        /** The record that the last {@code started} names is treated like any other duplicate. */
        NAMED
    }

    private record Walked(int states, int stuck, boolean lost) {}

    @Test
    void no_job_is_lost_and_none_gets_stuck() {
        Walked walked = walk(Without.NOTHING, MOST_STATES);
        System.out.printf("duplicate rule: %d states, %d stuck%n", walked.states(), walked.stuck());
        assertThat(walked.lost()).isFalse();
        assertThat(walked.stuck()).isZero();
    }

    @Test
    void acknowledging_a_duplicate_at_once_loses_jobs() {
        assertThat(walk(Without.WAITING, MOST_STATES).lost()).isTrue();
    }

    @Test
    void without_the_exception_for_the_named_record_jobs_get_stuck() {
        assertThat(walk(Without.NAMED, MOST_STATES).stuck()).isPositive();
    }

    private static Walked walk(Without without, int most) {
        RecordDelivery untouched = new RecordDelivery(null, 0, false);
        State first = new State(List.of(), List.of(), List.of(untouched, untouched), Set.of());
        Set<State> seen = new HashSet<>(Set.of(first));
        Deque<State> todo = new ArrayDeque<>(seen);
        int stuck = 0;
        while (!todo.isEmpty() && seen.size() < most) {
            State state = todo.poll();
            boolean all = state.records().stream().allMatch(RecordDelivery::acknowledged);
            boolean landed = state.runs().stream().allMatch(run -> run.flight().isEmpty());
            if (all && landed && !read(state.log()).reading().isClosed()) {
                return new Walked(seen.size(), stuck, true);
            }
            List<State> next = steps(state, without);
            boolean deliverable = state.records().stream()
                    .allMatch(held -> held.acknowledged() || held.owner() != null || held.deliveries() < DELIVERIES);
            if (next.isEmpty() && !all && deliverable) {
                stuck++;
            }
            for (State each : next) {
                if (seen.add(each)) {
                    todo.add(each);
                }
            }
        }
        return new Walked(seen.size(), stuck, false);
    }

    private static List<State> steps(State state, Without without) {
        List<State> next = new ArrayList<>();
        for (int record = 0; record < 2; record++) {
            RecordDelivery held = state.records().get(record);
            if (!state.known().contains(record)) {
                Set<Integer> more = new HashSet<>(state.known());
                more.add(record);
                next.add(new State(state.log(), state.runs(), state.records(), Set.copyOf(more)));
            }
            boolean again = held.deliveries() < DELIVERIES;
            if (held.owner() == null && !held.acknowledged() && again) {
                List<Run> runs = new ArrayList<>(state.runs());
                runs.add(new Run(Phase.TAKEN, record, held.deliveries() + 1, 0, List.of(), true));
                next.add(new State(state.log(), List.copyOf(runs), state.records(), state.known())
                        .with(record, new RecordDelivery(runs.size() - 1, held.deliveries() + 1, false)));
            }
            if (held.owner() != null && again) {
                next.add(state.with(record, new RecordDelivery(null, held.deliveries(), false)));
            }
        }
        for (int i = 0; i < state.runs().size(); i++) {
            Run run = state.runs().get(i);
            RecordDelivery held = state.records().get(run.record());
            if (!run.flight().isEmpty()) {
                Run landed = run.flying(
                        List.copyOf(run.flight().subList(1, run.flight().size())));
                next.add(new State(
                                plus(state.log(), run.flight().getFirst()),
                                state.runs(),
                                state.records(),
                                state.known())
                        .with(i, landed));
                if (!run.alive()) {
                    next.add(state.with(i, run.flying(List.of())));
                }
            }
            if (run.alive()) {
                if (run.phase() != Phase.DONE && held.deliveries() < DELIVERIES) {
                    Run dead = new Run(run.phase(), run.record(), run.delivery(), run.attempt(), run.flight(), false);
                    State died = state.with(i, dead);
                    next.add(
                            state.owns(i)
                                    ? died.with(
                                            run.record(),
                                            new RecordDelivery(null, held.deliveries(), held.acknowledged()))
                                    : died);
                }
                act(state, i, without, next);
            }
        }
        return next;
    }

    private static void act(State state, int i, Without without, List<State> next) {
        Run run = state.runs().get(i);
        switch (run.phase()) {
            case TAKEN -> {
                Set<List<?>> views = new LinkedHashSet<>();
                if (run.delivery() > 1) {
                    views.add(List.of(state.known(), state.log()));
                } else {
                    Set<Integer> fewer = new HashSet<>(state.known());
                    fewer.remove(1 - run.record());
                    IntStream.rangeClosed(0, state.log().size()).forEach(n -> {
                        List<Said> past = List.copyOf(state.log().subList(0, n));
                        views.add(List.of(state.known(), past));
                        views.add(List.of(Set.copyOf(fewer), past));
                    });
                }
                for (List<?> view : views) {
                    take(state, i, known(view.get(0)), read(said(view.get(1))), without, next);
                }
            }
            case WAIT -> {
                Read seen = read(state.log());
                if (seen.reading().isClosed()) {
                    next.add(state.with(i, run.to(Phase.ACK)));
                } else if (!isDuplicate(run.record(), state.known(), seen, without)) {
                    int attempt = seen.reading().nextRunAttempt();
                    next.add(state.with(
                            i,
                            state.owns(i)
                                    ? run.sends(
                                            Phase.RUN, Math.max(run.delivery(), 2), attempt, started(attempt, i, run))
                                    : run.to(Phase.DONE)));
                }
            }
            case RUN -> {
                next.add(state.with(
                        i, run.sends(Phase.OUTCOME, run.delivery(), run.attempt(), outcome(run.attempt(), i, run))));
                if (run.attempt() < 2 && state.owns(i)) {
                    int attempt = run.attempt() + 1;
                    next.add(state.with(i, run.sends(Phase.RUN, run.delivery(), attempt, started(attempt, i, run))));
                }
            }
            case OUTCOME -> {
                if (run.flight().isEmpty()) {
                    next.add(state.with(i, run.to(run.delivery() > 1 ? Phase.RECHECK : Phase.ACK)));
                }
            }
            case RECHECK -> {
                Reading reading = read(state.log()).reading();
                if (reading.isClosed()) {
                    next.add(state.with(i, run.to(Phase.ACK)));
                } else if (reading.attempt() < LAST_ATTEMPT) {
                    int attempt = reading.nextRunAttempt();
                    next.add(state.with(
                            i,
                            run.sends(
                                    Phase.OUTCOME,
                                    run.delivery(),
                                    attempt,
                                    started(attempt, i, run),
                                    outcome(attempt, i, run))));
                }
            }
            case ACK -> {
                RecordDelivery held = state.records().get(run.record());
                State done = state.with(i, run.to(Phase.DONE));
                next.add(
                        state.owns(i)
                                ? done.with(run.record(), new RecordDelivery(null, held.deliveries(), true))
                                : done);
            }
            case DONE -> {}
        }
    }

    private static void take(State state, int i, Set<Integer> known, Read seen, Without without, List<State> next) {
        Run run = state.runs().get(i);
        if (isDuplicate(run.record(), known, seen, without)) {
            next.add(state.with(i, run.to(without == Without.WAITING ? Phase.ACK : Phase.WAIT)));
        } else {
            int attempt = run.delivery() > 1 ? seen.reading().nextRunAttempt() : 1;
            next.add(state.with(i, run.sends(Phase.RUN, run.delivery(), attempt, started(attempt, i, run))));
        }
    }

    private static boolean isDuplicate(int record, Set<Integer> known, Read seen, Without without) {
        List<RecordStamp> stamps =
                known.stream().map(DuplicateRuleWalkTest::stamp).toList();
        RecordPlace named = seen.named();
        boolean own = stamp(record).place().equals(named);
        boolean closed = seen.reading().isClosed();
        if (without == Without.NAMED && own && !closed) {
            // without the record of the last started: only the order counts
            return stamp(record).isDuplicate(stamps, null, false);
        }
        return stamp(record).isDuplicate(stamps, named, closed);
    }

    private static RecordStamp stamp(int record) {
        return new RecordStamp(record, new RecordPlace("prompt-jobs", 0, record));
    }

    private static Read read(List<Said> log) {
        Reading reading = Reading.START;
        RecordPlace named = null;
        for (Said said : log) {
            EventMark mark = new EventMark(said.kind(), said.attempt(), "run" + said.run(), 0);
            if (reading.judge(mark) != Reading.Verdict.VOID && said.kind() == EventMark.Kind.STARTED) {
                named = stamp(said.record()).place();
            }
            reading = reading.after(mark);
        }
        return new Read(reading, named);
    }

    private static Said started(int attempt, int i, Run run) {
        return new Said(EventMark.Kind.STARTED, attempt, i, run.record());
    }

    private static Said outcome(int attempt, int i, Run run) {
        return new Said(EventMark.Kind.COMPLETED, attempt, i, run.record());
    }

    private static List<Said> plus(List<Said> list, Said... more) {
        List<Said> all = new ArrayList<>(list);
        all.addAll(List.of(more));
        return List.copyOf(all);
    }

    @SuppressWarnings("unchecked")
    private static Set<Integer> known(Object view) {
        return (Set<Integer>) view;
    }

    @SuppressWarnings("unchecked")
    private static List<Said> said(Object view) {
        return (List<Said>) view;
    }
}
