package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ReadingTest {
    private static final int LOGS = 20_000;

    @Test
    void a_higher_attempt_takes_over_and_the_old_run_is_void() {
        Reading read = read(List.of(
                mark(EventMark.Kind.STARTED, 1, "a", 0),
                mark(EventMark.Kind.CHUNK, 1, "a", 1),
                mark(EventMark.Kind.STARTED, 2, "b", 0),
                mark(EventMark.Kind.COMPLETED, 1, "a", 2)));

        assertThat(read).isEqualTo(new Reading(2, "b", null));
    }

    @Test
    void the_same_attempt_of_another_run_is_void() {
        Reading read = read(List.of(
                mark(EventMark.Kind.STARTED, 1, "a", 0),
                mark(EventMark.Kind.STARTED, 1, "b", 0),
                mark(EventMark.Kind.COMPLETED, 1, "b", 1)));

        assertThat(read).isEqualTo(new Reading(1, "a", null));
    }

    @Test
    void an_outcome_without_an_attempt_closes_a_job_that_never_started() {
        Reading read = read(List.of(mark(EventMark.Kind.CANCELLED, Reading.START.nextOutcomeAttempt(), "a", 0)));

        assertThat(read).isEqualTo(new Reading(0, "a", EventMark.Kind.CANCELLED));
    }

    @Test
    void nothing_counts_after_the_outcome_and_a_rejected_never_does() {
        Reading read = read(List.of(
                mark(EventMark.Kind.REJECTED, 0, "x", 0),
                mark(EventMark.Kind.STARTED, 1, "a", 0),
                mark(EventMark.Kind.COMPLETED, 1, "a", 1),
                mark(EventMark.Kind.STARTED, 2, "b", 0),
                mark(EventMark.Kind.FAILED, 2, "b", 1)));

        assertThat(read).isEqualTo(new Reading(1, "a", EventMark.Kind.COMPLETED));
    }

    /**
     * Random logs of runs that crash, publish late, duplicate events or are taken over. At most one outcome is ever
     * valid. The valid events form attempts without gaps. A reader that starts anywhere with another reader's state
     * continues like that reader.
     */
    @Test
    void every_reader_sees_at_most_one_outcome_and_the_same_one() {
        for (int seed = 0; seed < LOGS; seed++) {
            List<EventMark> log = randomLog(new Random(seed));
            Reading whole = Reading.START;
            int outcomes = 0;
            long nextSeq = 0;
            List<Reading> states = new ArrayList<>();
            for (EventMark event : log) {
                states.add(whole);
                Reading.Verdict verdict = whole.judge(event);
                if (verdict == Reading.Verdict.TAKES_OVER) {
                    nextSeq = 0;
                }
                if (verdict != Reading.Verdict.VOID) {
                    assertThat(event.seq()).as("seed %d, %s", seed, event).isEqualTo(nextSeq++);
                    outcomes += event.kind().isOutcome() ? 1 : 0;
                }
                whole = whole.after(event);
            }
            assertThat(outcomes).as("seed %d", seed).isEqualTo(whole.isClosed() ? 1 : 0);
            int cut = states.isEmpty() ? 0 : new Random(seed).nextInt(states.size());
            Reading resumed = states.isEmpty() ? Reading.START : states.get(cut);
            for (EventMark event : log.subList(cut, log.size())) {
                resumed = resumed.after(event);
            }
            assertThat(resumed).as("seed %d cut at %d", seed, cut).isEqualTo(whole);
        }
    }

    private static Reading read(List<EventMark> log) {
        Reading reading = Reading.START;
        for (EventMark event : log) {
            reading = reading.after(event);
        }
        return reading;
    }

    private static EventMark mark(EventMark.Kind kind, int attempt, String run, long seq) {
        return new EventMark(kind, attempt, run, seq);
    }

    /**
     * Up to four runs. Each begins after some earlier log, and is cut anywhere. The interleaving keeps the order of
     * each run.
     */
    private static List<EventMark> randomLog(Random random) {
        List<List<EventMark>> flights = new ArrayList<>();
        int runs = 1 + random.nextInt(4);
        for (int r = 0; r < runs; r++) {
            flights.add(randomRun(random, "r" + r, random.nextInt(3)));
        }
        List<EventMark> log = new ArrayList<>();
        while (!flights.isEmpty()) {
            List<EventMark> flight = flights.get(random.nextInt(flights.size()));
            if (flight.isEmpty()) {
                flights.remove(flight);
            } else {
                log.add(flight.removeFirst());
            }
        }
        return log;
    }

    private static List<EventMark> randomRun(Random random, String run, int lastKnownAttempt) {
        List<EventMark> events = new ArrayList<>();
        int attempt = lastKnownAttempt;
        if (random.nextInt(8) == 0) {
            events.add(mark(EventMark.Kind.EXPIRED, attempt, run, 0));
            return events;
        }
        for (int tries = 1 + random.nextInt(2); tries > 0; tries--) {
            attempt++;
            long seq = 0;
            events.add(mark(EventMark.Kind.STARTED, attempt, run, seq++));
            for (int chunks = random.nextInt(4); chunks > 0; chunks--) {
                events.add(mark(EventMark.Kind.CHUNK, attempt, run, seq++));
            }
            if (tries == 1) {
                EventMark.Kind[] outcomes = {
                    EventMark.Kind.COMPLETED, EventMark.Kind.FAILED, EventMark.Kind.CANCELLED, EventMark.Kind.EXPIRED
                };
                events.add(mark(outcomes[random.nextInt(outcomes.length)], attempt, run, seq));
            }
        }
        int survived = random.nextInt(3) == 0 ? random.nextInt(events.size() + 1) : events.size();
        return new ArrayList<>(events.subList(0, survived));
    }
}
