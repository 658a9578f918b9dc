package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.wire.document.TextSoFar;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Walks every interleaving of a few runs of one record whose attempts are hedged and preempted, with lost locks, crashes
 * and events that reach the log late. The project's own {@link Reading}, {@link TextSoFar} and {@link RunStarts} read
 * the log.
 *
 * <p>A hedged attempt sends its request first, and {@code started} with its first token: until then a crash leaves no
 * trace. A preempted attempt ends when its chunks are published. Its run waits; then it makes the next attempt, or it
 * is handed back and another run goes on.
 *
 * <p>Properties: when the record is acknowledged, the log holds a valid outcome. A reader of the chunks of a closed log
 * has exactly the outcome's text. At most one run that crashed after its request is not counted.
 */
class YieldingRunWalkTest {
    private static final int LAST_ATTEMPT = 5;
    private static final int MOST_STATES = 1_500_000;
    private static final List<String> NAMES = List.of("run0", "run1", "run2");

    private enum Phase {
        TAKEN,
        /** The request of a hedged attempt is sent, and no node has spoken. */
        SILENT,
        /** {@code started} is sent. A recovered run waits until it is published, and then sends the request. */
        RUN,
        /** The run was preempted, and waits for a node. */
        WAITING,
        OUTCOME,
        RECHECK,
        ACK,
        DONE
    }

    /** @param text the piece of a chunk, or the whole text of an outcome */
    private record Event(EventMark mark, PublishedText.@Nullable Place from, String text) {}

    /**
     * @param starts whether the run has sent a {@code started}
     * @param text the text as the run has it
     * @param last the chunk that the text ends with; null if it is empty
     */
    private record Run(
            Phase phase,
            int delivery,
            boolean starts,
            int attempt,
            long seq,
            String text,
            PublishedText.@Nullable Place last,
            Limits left,
            List<Event> flight,
            boolean alive) {
        Run to(Phase next) {
            return new Run(next, delivery, starts, attempt, seq, text, last, left, flight, alive);
        }

        Run flying(List<Event> rest) {
            return new Run(phase, delivery, starts, attempt, seq, text, last, left, rest, alive);
        }

        Run dead() {
            return new Run(phase, delivery, starts, attempt, seq, text, last, left, flight, false);
        }

        Run limited(Limits now) {
            return new Run(phase, delivery, starts, attempt, seq, text, last, now, flight, alive);
        }

        Run sends(Phase next, Event... events) {
            List<Event> more = new ArrayList<>(flight);
            more.addAll(List.of(events));
            return to(next).flying(List.copyOf(more));
        }

        boolean isRecovered() {
            return delivery > 1;
        }

        /** Begins an attempt with this text, and sends {@code started} before the request. */
        Run begins(int number, String given, PublishedText.@Nullable Place from, int i) {
            return new Run(phase, delivery, true, number, 0, given, from, left, flight, alive)
                    .sends(Phase.RUN, new Event(mark(EventMark.Kind.STARTED, number, i, 0), from, ""));
        }

        /** Begins a hedged attempt: the request without an event. */
        Run hedges(int number) {
            return new Run(Phase.SILENT, delivery, starts, number, 0, "", null, left, flight, alive);
        }

        Run speaks(int i) {
            String piece = "%d.%d.%d ".formatted(i, attempt, seq + 1);
            PublishedText.Place place = new PublishedText.Place(attempt, seq + 1);
            Event chunk = new Event(mark(EventMark.Kind.CHUNK, attempt, i, seq + 1), null, piece);
            return new Run(
                            phase,
                            delivery,
                            starts,
                            attempt,
                            seq + 1,
                            text + piece,
                            place,
                            left.less(1, 0),
                            flight,
                            alive)
                    .sends(Phase.RUN, chunk);
        }

        Run concludes(int i) {
            return sends(Phase.OUTCOME, new Event(mark(EventMark.Kind.COMPLETED, attempt, i, seq + 1), null, text));
        }

        /** Returns whether the run crashed after it had sent a request. A recovered run sends it after {@code started}. */
        boolean isCrash() {
            boolean sent = phase == Phase.SILENT || (phase == Phase.RUN && (!isRecovered() || flight.isEmpty()));
            return !alive && sent;
        }
    }

    private record State(
            List<Event> log,
            List<Run> runs,
            @Nullable Integer owner,
            int deliveries,
            int crashes,
            boolean acknowledged) {
        State with(int i, Run run) {
            List<Run> changed = new ArrayList<>(runs);
            changed.set(i, run);
            return new State(log, List.copyOf(changed), owner, deliveries, crashes, acknowledged);
        }

        State owned(@Nullable Integer newOwner) {
            return new State(log, runs, newOwner, deliveries, crashes, acknowledged);
        }

        State logs(List<Event> now) {
            return new State(now, runs, owner, deliveries, crashes, acknowledged);
        }

        State crashed(boolean counts) {
            return new State(log, runs, owner, deliveries, crashes + (counts ? 1 : 0), acknowledged);
        }

        boolean owns(int i) {
            return owner != null && owner == i;
        }
    }

    /** @param ends whether an attempt can end; otherwise each attempt crashes its process */
    private record Limits(int runs, int chunks, int preemptions, Hedging hedging, boolean ends) {
        Limits less(int fewerChunks, int fewerPreemptions) {
            return new Limits(runs, chunks - fewerChunks, preemptions - fewerPreemptions, hedging, ends);
        }
    }

    /** Which attempts may be hedged. */
    enum Hedging {
        NONE,
        /** Those of a run that has sent a {@code started}, or that is the record's first. */
        WHERE_A_CRASH_IS_NOT_NEWS,
        ALL
    }

    /** @param outcome the text of the valid outcome; null while the log is open */
    private record Read(
            Reading reading,
            @Nullable PublishedText published,
            String text,
            @Nullable String outcome,
            RunStarts starts) {}

    private static Read read(List<Event> log) {
        Reading reading = Reading.START;
        RunStarts starts = RunStarts.NONE;
        TextSoFar text = new TextSoFar();
        String outcome = null;
        for (Event event : log) {
            EventMark mark = event.mark();
            if (reading.judge(mark) != Reading.Verdict.VOID) {
                starts = starts.after(reading, mark);
                switch (mark.kind()) {
                    case STARTED -> text.started(mark.attempt(), "node", "model", event.from());
                    case CHUNK ->
                        text.chunk(new PublishedText.Place(mark.attempt(), mark.seq()), Optional.of(event.text()));
                    case COMPLETED -> outcome = event.text();
                    case FAILED, CANCELLED, EXPIRED, REJECTED -> throw new IllegalStateException("not in this model");
                }
            }
            reading = reading.after(mark);
        }
        return new Read(reading, text.published().orElse(null), text.text().orElse("not known"), outcome, starts);
    }

    @ParameterizedTest
    @CsvSource({"2, 1, 1, NONE", "2, 1, 1, WHERE_A_CRASH_IS_NOT_NEWS", "2, 2, 0, WHERE_A_CRASH_IS_NOT_NEWS"})
    void a_run_that_gives_way_loses_no_job_and_no_text(int runs, int chunks, int preemptions, Hedging hedging) {
        assertThat(walk(new Limits(runs, chunks, preemptions, hedging, true))).isNull();
    }

    @Test
    void of_the_crashes_of_hedged_attempts_only_one_is_not_counted() {
        assertThat(walk(new Limits(3, 0, 0, Hedging.WHERE_A_CRASH_IS_NOT_NEWS, false)))
                .isNull();
    }

    @Test
    void if_each_attempt_is_hedged_a_job_crashes_its_process_again_and_again_and_no_run_is_counted() {
        List<Event> log = walk(new Limits(3, 0, 0, Hedging.ALL, false));

        assertThat(read(Objects.requireNonNull(log)).starts()).isEqualTo(RunStarts.NONE);
    }

    /** @return the log of a state that breaks a property; null if there is none */
    private static @Nullable List<Event> walk(Limits limits) {
        State first = new State(List.of(), List.of(), null, 0, 0, false);
        Set<State> seen = new HashSet<>(Set.of(first));
        Deque<State> todo = new ArrayDeque<>(List.of(first));
        int acknowledged = 0;
        while (!todo.isEmpty()) {
            State state = todo.poll();
            Read read = read(state.log());
            boolean isLost = state.acknowledged() && !read.reading().isClosed();
            boolean isOther = read.outcome() != null && !read.outcome().equals(read.text());
            boolean isHidden = state.crashes() - read.starts().attempts().size() > 1;
            if (isLost || isOther || isHidden) {
                return state.log();
            }
            acknowledged += state.acknowledged() ? 1 : 0;
            for (State next : steps(state, read, limits)) {
                if (seen.add(next)) {
                    todo.add(next);
                }
            }
            assertThat(seen.size()).as("states").isLessThan(MOST_STATES);
        }
        System.out.printf("runs that give way, %s: %d states%n", limits, seen.size());
        assertThat(acknowledged > 0).as("the walk gets to the end").isEqualTo(limits.ends());
        return null;
    }

    private static List<State> steps(State state, Read read, Limits limits) {
        List<State> next = new ArrayList<>();
        boolean mayBegin = state.runs().size() < limits.runs();
        if (state.owner() == null && !state.acknowledged() && mayBegin) {
            List<Run> runs = new ArrayList<>(state.runs());
            int delivery = state.deliveries() + 1;
            runs.add(new Run(Phase.TAKEN, delivery, false, 0, 0, "", null, limits, List.of(), true));
            next.add(new State(state.log(), List.copyOf(runs), runs.size() - 1, delivery, state.crashes(), false));
        }
        if (state.owner() != null && mayBegin) {
            next.add(state.owned(null));
        }
        for (int i = 0; i < state.runs().size(); i++) {
            Run run = state.runs().get(i);
            if (!run.flight().isEmpty()) {
                List<Event> log = new ArrayList<>(state.log());
                log.add(run.flight().getFirst());
                List<Event> rest =
                        List.copyOf(run.flight().subList(1, run.flight().size()));
                next.add(state.logs(List.copyOf(log)).with(i, run.flying(rest)));
                if (!run.alive()) {
                    next.add(state.with(i, run.flying(List.of())));
                }
            }
            if (run.alive()) {
                if (mayBegin && run.phase() != Phase.DONE) {
                    State dead = state.with(i, run.dead()).crashed(run.dead().isCrash());
                    next.add(state.owns(i) ? dead.owned(null) : dead);
                }
                act(state, i, read, next);
            }
        }
        return next;
    }

    private static void act(State state, int i, Read read, List<State> next) {
        Run run = state.runs().get(i);
        Reading reading = read.reading();
        switch (run.phase()) {
            case TAKEN -> {
                if (run.isRecovered() && reading.isClosed()) {
                    next.add(state.with(i, run.to(Phase.ACK)));
                    return;
                }
                int attempt = run.isRecovered() ? reading.nextRunAttempt() : 1;
                attempts(state, i, run, attempt, run.isRecovered() ? read.published() : null, next);
            }
            case SILENT -> {
                // the first token, or the end of an attempt without one
                next.add(state.with(i, run.begins(run.attempt(), "", null, i)));
                if (!state.owns(i)) {
                    next.add(state.with(i, run.to(Phase.DONE)));
                }
            }
            case RUN -> {
                boolean hasRequest = !run.isRecovered() || run.flight().isEmpty();
                if (run.left().chunks() > 0 && (hasRequest || run.seq() > 0)) {
                    next.add(state.with(i, run.speaks(i)));
                }
                if (run.left().preemptions() > 0 && run.flight().isEmpty()) {
                    next.add(state.with(i, run.limited(run.left().less(0, 1)).to(Phase.WAITING)));
                }
                if (run.left().ends()) {
                    next.add(state.with(i, run.concludes(i)));
                }
            }
            case WAITING -> {
                next.add(state.with(i, run.to(Phase.DONE)).owned(state.owns(i) ? null : state.owner()));
                if (state.owns(i)) {
                    boolean isValid = !run.isRecovered()
                            || (reading.attempt() == run.attempt()
                                    && NAMES.get(i).equals(reading.run()));
                    PublishedText published = run.last() == null || !isValid
                            ? null
                            : new PublishedText(
                                    run.text(),
                                    run.last(),
                                    List.of(new PublishedText.Segment("node", "model", run.attempt(), 1, 1)));
                    attempts(state, i, run, run.attempt() + 1, published, next);
                }
            }
            case OUTCOME -> {
                if (run.flight().isEmpty()) {
                    next.add(state.with(i, run.to(run.isRecovered() ? Phase.RECHECK : Phase.ACK)));
                }
            }
            case RECHECK -> {
                if (reading.isClosed()) {
                    next.add(state.with(i, run.to(Phase.ACK)));
                } else if (reading.attempt() < LAST_ATTEMPT) {
                    int attempt = reading.nextRunAttempt();
                    next.add(state.with(
                            i,
                            run.sends(
                                    Phase.OUTCOME,
                                    new Event(mark(EventMark.Kind.STARTED, attempt, i, 0), null, ""),
                                    new Event(mark(EventMark.Kind.CHUNK, attempt, i, 1), null, run.text()),
                                    new Event(mark(EventMark.Kind.COMPLETED, attempt, i, 2), null, run.text()))));
                }
            }
            case ACK -> {
                State done = state.with(i, run.to(Phase.DONE));
                next.add(
                        state.owns(i)
                                ? new State(done.log(), done.runs(), null, done.deliveries(), done.crashes(), true)
                                : done);
            }
            case DONE -> {}
        }
    }

    /** Adds each way to begin an attempt: it starts over, it continues the published text, or it is hedged. */
    private static void attempts(
            State state, int i, Run run, int attempt, @Nullable PublishedText published, List<State> next) {
        next.add(state.with(i, run.begins(attempt, "", null, i)));
        if (published != null) {
            next.add(state.with(i, run.begins(attempt, published.text(), published.last(), i)));
        }
        boolean mayHedge = switch (run.left().hedging()) {
            case NONE -> false;
            case WHERE_A_CRASH_IS_NOT_NEWS -> run.starts() || !run.isRecovered();
            case ALL -> true;
        };
        if (mayHedge) {
            next.add(state.with(i, run.hedges(attempt)));
        }
    }

    private static EventMark mark(EventMark.Kind kind, int attempt, int run, long seq) {
        return new EventMark(kind, attempt, NAMES.get(run), seq);
    }
}
