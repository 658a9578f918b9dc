package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class DrainTest {
    private static final Instant NOON = Instant.parse("2026-11-21T12:00:00Z");

    private final List<String> lines = new ArrayList<>();
    private final Drain drain = new Drain(new RunsInFlight(), lines::add);

    @Test
    void a_drain_says_what_it_waits_for_and_only_what_changes() {
        drain.look(List.of(left("b", 2), left("a", 1)), 60);
        drain.look(List.of(left("a", 1), left("b", 2)), 55);
        drain.look(List.of(left("b", 2)), 50);
        drain.look(List.of(), 0);

        assertThat(lines)
                .containsExactly(
                        "draining: waiting for 2 running jobs, 60 s at most: a, b; the oldest was accepted at 2026-11-21T12:00:01Z",
                        "draining: waiting for 1 running job, 50 s at most: b; the oldest was accepted at 2026-11-21T12:00:02Z",
                        "draining: no job runs any more");
    }

    @Test
    void of_many_the_oldest_are_named() {
        drain.look(IntStream.range(0, 12).mapToObj(i -> left("job-" + i, i)).toList(), 60);

        assertThat(lines)
                .singleElement()
                .asString()
                .contains("waiting for 12 running jobs", "job-0, job-1, job-2, job-3, job-4 and 7 more");
    }

    @Test
    void a_drain_of_nothing_logs_nothing() {
        drain.look(List.of(), 60);

        assertThat(lines).isEmpty();
    }

    private static Drain.Left left(String id, int second) {
        return new Drain.Left(new JobId(id), NOON.plusSeconds(second));
    }
}
