package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import dev.penstock.job.Waiting;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class WaitLogTest {
    private final Paused clock = new Paused();
    private final List<String> lines = new ArrayList<>();
    private final WaitLog log = new WaitLog(clock, lines::add);

    @Test
    void a_reason_is_told_once_and_when_it_changes() {
        for (int second = 0; second < 60; second++) {
            log.look(Map.of(Waiting.Code.NODE_DOWN, jobs(3, "gpu-a is down")));
            clock.pass(Duration.ofSeconds(1));
        }
        assertThat(lines).containsExactly("waiting=node_down 3 jobs, such as a: gpu-a is down");

        log.look(Map.of(Waiting.Code.NODE_DOWN, jobs(1, "gpu-b is down")));
        log.look(Map.of(Waiting.Code.NODE_DOWN, jobs(1, "gpu-c is down")));
        log.look(Map.of());

        assertThat(lines.subList(1, lines.size()))
                .containsExactly(
                        "waiting=node_down 1 job, such as a: gpu-b is down", "waiting=node_down no job waits any more");
    }

    @Test
    void what_passes_soon_and_what_waits_for_a_slot_is_not_told() {
        log.look(Map.of(Waiting.Code.NODE_DOWN, jobs(1, "gpu-a is down")));
        clock.pass(Duration.ofSeconds(4));
        log.look(Map.of());
        for (int second = 0; second < 60; second++) {
            log.look(Map.of(Waiting.Code.SLOT, jobs(100, "all slots are taken")));
            clock.pass(Duration.ofSeconds(1));
        }

        assertThat(lines).isEmpty();
    }

    private static WaitingJobs jobs(int count, String why) {
        return new WaitingJobs(count, new JobId("a"), why);
    }

    private static final class Paused extends Clock {
        private Instant now = Instant.parse("2026-11-21T09:00:00Z");

        void pass(Duration time) {
            now = now.plus(time);
        }

        @Override
        public Instant instant() {
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    }
}
