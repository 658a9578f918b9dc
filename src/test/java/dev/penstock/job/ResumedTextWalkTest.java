package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.wire.document.TextSoFar;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Walks every interleaving of a few runs of one record whose attempts may continue the published text, with lost locks,
 * crashes and events that reach the log late. The project's own {@link Reading} and {@link TextSoFar} read the log.
 *
 * <p>Properties: when the record is acknowledged, the log holds a valid outcome; and a reader of the chunks of a closed
 * log has exactly the outcome's text. Each piece of text is written only once, so no two texts are equal by chance.
 *
 * <p>A run's life: take the record (delivery d), if d &gt; 1 look up, started, chunk*, (the node fails, when the chunks
 * are published the next attempt, which continues or starts over)*, outcome, if d &gt; 1 look up again, acknowledge.
 */
class ResumedTextWalkTest {
    private static final int LAST_ATTEMPT = 5;
    private static final int MOST_STATES = 1_500_000;
    private static final List<String> NAMES = List.of("run0", "run1", "run2");

    private enum Phase {
        TAKEN,
        RUN,
        OUTCOME,
        RECHECK,
        ACK,
        DONE
    }

    /** @param text the piece of a chunk, or the whole text of an outcome */
    private record Event(EventMark mark, PublishedText.@Nullable Place from, String text) {}

    /**
     * @param text the text as the run has it
     * @param last the chunk that the text ends with; null if it is empty
     */
    private record Run(
            Phase phase,
            int delivery,
            int attempt,
            long seq,
            String text,
            PublishedText.@Nullable Place last,
            int chunksLeft,
            int failuresLeft,
            List<Event> flight,
            boolean alive) {
        Run to(Phase next) {
            return new Run(next, delivery, attempt, seq, text, last, chunksLeft, failuresLeft, flight, alive);
        }

        Run flying(List<Event> rest) {
            return new Run(phase, delivery, attempt, seq, text, last, chunksLeft, failuresLeft, rest, alive);
        }

        Run dead() {
            return new Run(phase, delivery, attempt, seq, text, last, chunksLeft, failuresLeft, flight, false);
        }

        Run sends(Phase next, Event... events) {
            List<Event> more = new ArrayList<>(flight);
            more.addAll(List.of(events));
            return to(next).flying(List.copyOf(more));
        }

        /** Begins an attempt with this text. */
        Run begins(int number, String given, PublishedText.@Nullable Place from, int failures, int i) {
            return new Run(phase, delivery, number, 0, given, from, chunksLeft, failures, flight, alive)
                    .sends(Phase.RUN, new Event(mark(EventMark.Kind.STARTED, number, i, 0), from, ""));
        }

        Run speaks(int i) {
            String piece = "%d.%d.%d ".formatted(i, attempt, seq + 1);
            PublishedText.Place place = new PublishedText.Place(attempt, seq + 1);
            return new Run(
                            phase,
                            delivery,
                            attempt,
                            seq + 1,
                            text + piece,
                            place,
                            chunksLeft - 1,
                            failuresLeft,
                            flight,
                            alive)
                    .sends(Phase.RUN, new Event(mark(EventMark.Kind.CHUNK, attempt, i, seq + 1), null, piece));
        }

        Run concludes(int i) {
            return sends(Phase.OUTCOME, new Event(mark(EventMark.Kind.COMPLETED, attempt, i, seq + 1), null, text));
        }
    }

    private record State(
            List<Event> log, List<Run> runs, @Nullable Integer owner, int deliveries, boolean acknowledged) {
        State with(int i, Run run) {
            List<Run> changed = new ArrayList<>(runs);
            changed.set(i, run);
            return new State(log, List.copyOf(changed), owner, deliveries, acknowledged);
        }

        State owned(@Nullable Integer newOwner) {
            return new State(log, runs, newOwner, deliveries, acknowledged);
        }
    }

    /**
     * @param checksItsAttempt whether a run of a record that was delivered before continues its own text only if the
     *     attempt is valid: another run's attempt of the same number may have come before it
     */
    private record Limits(int runs, int chunks, int failures, boolean checksItsAttempt) {}

    /** A reader of the log: the project's own, or one that is wrong. */
    private interface Reader {
        void started(int attempt, PublishedText.@Nullable Place from);

        void chunk(PublishedText.Place place, String piece);

        String text();

        @Nullable
        PublishedText published();
    }

    private static final class Own implements Reader {
        private final TextSoFar text = new TextSoFar();

        @Override
        public void started(int attempt, PublishedText.@Nullable Place from) {
            text.started(attempt, "node", "model", from);
        }

        @Override
        public void chunk(PublishedText.Place place, String piece) {
            text.chunk(place, Optional.of(piece));
        }

        @Override
        public String text() {
            return text.text().orElse("not known");
        }

        @Override
        public @Nullable PublishedText published() {
            return text.published().orElse(null);
        }
    }

    /** Keeps the whole text before an attempt that continues a text, also after the chunk that the attempt names. */
    private static final class KeepsAll implements Reader {
        private final Own own = new Own();
        private final StringBuilder text = new StringBuilder();

        @Override
        public void started(int attempt, PublishedText.@Nullable Place from) {
            own.started(attempt, from);
            text.setLength(from == null ? 0 : text.length());
        }

        @Override
        public void chunk(PublishedText.Place place, String piece) {
            own.chunk(place, piece);
            text.append(piece);
        }

        @Override
        public String text() {
            return text.toString();
        }

        @Override
        public @Nullable PublishedText published() {
            return own.published();
        }
    }

    /** @param outcome the text of the valid outcome; null while the log is open */
    private record Read(
            Reading reading,
            @Nullable PublishedText published,
            String text,
            @Nullable String outcome) {}

    private static Read read(List<Event> log, Supplier<Reader> readers) {
        Reading reading = Reading.START;
        Reader reader = readers.get();
        String outcome = null;
        for (Event event : log) {
            if (reading.judge(event.mark()) != Reading.Verdict.VOID) {
                EventMark mark = event.mark();
                switch (mark.kind()) {
                    case STARTED -> reader.started(mark.attempt(), event.from());
                    case CHUNK -> reader.chunk(new PublishedText.Place(mark.attempt(), mark.seq()), event.text());
                    case COMPLETED -> outcome = event.text();
                    case FAILED, CANCELLED, EXPIRED, REJECTED -> throw new IllegalStateException("not in this model");
                }
            }
            reading = reading.after(event.mark());
        }
        return new Read(reading, reader.published(), reader.text(), outcome);
    }

    @ParameterizedTest
    @CsvSource({"2, 1, 1", "2, 2, 0"})
    void a_reader_of_the_chunks_has_the_text_of_the_outcome(int runs, int chunks, int failures) {
        assertThat(walk(new Limits(runs, chunks, failures, true), Own::new)).isNull();
    }

    @Test
    void a_reader_that_keeps_what_follows_the_named_chunk_has_another_text() {
        assertThat(walk(new Limits(2, 2, 0, true), KeepsAll::new)).isNotNull();
    }

    @Test
    void a_run_that_continues_an_attempt_that_may_be_void_loses_text() {
        assertThat(walk(new Limits(2, 1, 1, false), Own::new)).isNotNull();
    }

    /** @return the log of a state that breaks a property; null if there is none */
    private static @Nullable List<Event> walk(Limits limits, Supplier<Reader> readers) {
        State first = new State(List.of(), List.of(), null, 0, false);
        Map<State, Boolean> seen = new HashMap<>(Map.of(first, true));
        Deque<State> todo = new ArrayDeque<>(List.of(first));
        while (!todo.isEmpty()) {
            State state = todo.poll();
            Read read = read(state.log(), readers);
            boolean isLost = state.acknowledged() && !read.reading().isClosed();
            if (isLost || (read.outcome() != null && !read.outcome().equals(read.text()))) {
                return state.log();
            }
            for (State next : steps(state, read, limits)) {
                if (seen.put(next, true) == null) {
                    todo.add(next);
                }
            }
            assertThat(seen.size()).as("states").isLessThan(MOST_STATES);
        }
        System.out.printf("resumed texts, %s: %d states%n", limits, seen.size());
        return null;
    }

    private static List<State> steps(State state, Read read, Limits limits) {
        List<State> next = new ArrayList<>();
        boolean mayBegin = state.runs().size() < limits.runs();
        if (state.owner() == null && !state.acknowledged() && mayBegin) {
            List<Run> runs = new ArrayList<>(state.runs());
            runs.add(new Run(
                    Phase.TAKEN,
                    state.deliveries() + 1,
                    0,
                    0,
                    "",
                    null,
                    limits.chunks(),
                    limits.failures(),
                    List.of(),
                    true));
            next.add(new State(state.log(), List.copyOf(runs), runs.size() - 1, state.deliveries() + 1, false));
        }
        if (state.owner() != null && mayBegin) {
            next.add(state.owned(null));
        }
        for (int i = 0; i < state.runs().size(); i++) {
            Run run = state.runs().get(i);
            if (!run.flight().isEmpty()) {
                List<Event> log = new ArrayList<>(state.log());
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
                act(state, i, read, limits, next);
            }
        }
        return next;
    }

    private static boolean owns(State state, int i) {
        return state.owner() != null && state.owner() == i;
    }

    private static void act(State state, int i, Read read, Limits rules, List<State> next) {
        Run run = state.runs().get(i);
        boolean looks = run.delivery() > 1;
        Reading reading = read.reading();
        switch (run.phase()) {
            case TAKEN -> {
                if (looks && reading.isClosed()) {
                    next.add(state.with(i, run.to(Phase.ACK)));
                    return;
                }
                int attempt = looks ? reading.nextRunAttempt() : 1;
                next.add(state.with(i, run.begins(attempt, "", null, run.failuresLeft(), i)));
                PublishedText published = looks ? read.published() : null;
                if (published != null) {
                    next.add(state.with(
                            i, run.begins(attempt, published.text(), published.last(), run.failuresLeft(), i)));
                }
            }
            case RUN -> {
                if (run.chunksLeft() > 0) {
                    next.add(state.with(i, run.speaks(i)));
                }
                if (run.failuresLeft() > 0 && run.flight().isEmpty()) {
                    int attempt = run.attempt() + 1;
                    int failures = run.failuresLeft() - 1;
                    next.add(state.with(
                            i, owns(state, i) ? run.begins(attempt, "", null, failures, i) : run.to(Phase.DONE)));
                    boolean isValid = !rules.checksItsAttempt()
                            || !looks
                            || (reading.attempt() == run.attempt()
                                    && NAMES.get(i).equals(reading.run()));
                    if (owns(state, i) && run.last() != null && isValid) {
                        next.add(state.with(i, run.begins(attempt, run.text(), run.last(), failures, i)));
                    }
                }
                next.add(state.with(i, run.concludes(i)));
            }
            case OUTCOME -> {
                if (run.flight().isEmpty()) {
                    next.add(state.with(i, run.to(looks ? Phase.RECHECK : Phase.ACK)));
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
                next.add(owns(state, i) ? new State(done.log(), done.runs(), null, done.deliveries(), true) : done);
            }
            case DONE -> {}
        }
    }

    private static EventMark mark(EventMark.Kind kind, int attempt, int run, long seq) {
        return new EventMark(kind, attempt, NAMES.get(run), seq);
    }
}
