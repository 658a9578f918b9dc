package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A replica is replaced by a new one while 500 jobs stream; the readers of the answers do not notice. */
@Tag("alone")
@Tag("long")
class RollingIT {
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final Duration DRAIN = Duration.ofSeconds(40);
    private static final Duration CHUNK_EVERY = Duration.ofMillis(100);
    private static final int JOBS = 500;
    /** For each replica: jobs that are handed back find memory, and the replica that takes a job runs it. */
    private static final int SLOTS = JOBS;

    private static final String SHORT = "short";
    private static final String LONG = "long";

    private Rig rig;

    @BeforeEach
    void startParts() {
        rig = Rig.start("rolling");
    }

    @AfterEach
    void stopParts() {
        rig.close();
    }

    @Test
    void a_replica_is_replaced_under_load() throws InterruptedException {
        rig.fake()
                .script(request ->
                        Answer.tokens(request.prompt().equals(LONG) ? 650 : 200).every(CHUNK_EVERY));
        PenstockProcess first = rig.start(replica("first"));
        PenstockProcess second = rig.start(replica("second"));

        List<String> calm = Rig.ids("calm", JOBS);
        rig.send(calm, SHORT);
        rig.replies().awaitOutcomes(calm, PATIENCE);

        List<String> shortOnes = Rig.ids(SHORT, JOBS * 4 / 5);
        List<String> longOnes = Rig.ids(LONG, JOBS - shortOnes.size());
        Map<String, String> mixed = new HashMap<>();
        shortOnes.forEach(id -> mixed.put(id, SHORT));
        longOnes.forEach(id -> mixed.put(id, LONG));
        var _ = rig.send(mixed);
        // on a slow machine the first may end before the last begins
        rig.fake().await(stats -> stats.inFlight() >= JOBS * 9 / 10, PATIENCE);
        // a share group does not distribute them evenly
        PenstockProcess leaving = inFlight(first) < inFlight(second) ? second : first;
        leaving.terminate();
        rig.start(replica("arriving"));
        List<String> all = new ArrayList<>(shortOnes);
        all.addAll(longOnes);
        rig.replies().awaitOutcomes(all, PATIENCE);
        assertThat(leaving.process().awaitExit(PATIENCE)).hasValue(143);

        List<String> handedBack = longOnes.stream().filter(id -> starts(id) > 1).toList();
        Gaps before = gaps(calm);
        Gaps during = gaps(shortOnes);
        System.out.printf(
                "%d jobs running, one of two replicas replaced: %s; %d handed back%n"
                        + "  gaps between the chunks of a job, one every 100 ms, in ms: %s; without a replacement: %s%n",
                JOBS, rig.replies().outcomes(all), handedBack.size(), during, before);
        assertThat(rig.replies().outcomes(all)).isEqualTo(Map.of("completed", JOBS));
        shortOnes.forEach(id -> assertThat(starts(id)).as(id).isEqualTo(1));
        assertThat(handedBack)
                .isNotEmpty()
                .allSatisfy(id -> assertThat(starts(id)).isEqualTo(2));
        all.forEach(id -> assertThat(rig.replies().chunkText(id))
                .as(id)
                .isEqualTo(rig.replies().completedText(id)));
        assertThat(during.longest()).isLessThan(5_000);
    }

    private PenstockProcess.Builder replica(String name) {
        return rig.replica(name, SLOTS)
                .config("penstock.intake.batch", "125")
                .config("penstock.nodes.fake.max-in-flight", Integer.toString(3 * SLOTS))
                .config("penstock.intake.mode", "share")
                .config("penstock.drain.timeout", DRAIN.toSeconds() + "s");
    }

    private static double inFlight(PenstockProcess replica) throws InterruptedException {
        return Metrics.value(replica, "penstock_jobs_in_flight{node=\"fake\"}").orElse(0);
    }

    private long starts(String id) {
        return rig.replies().count(id, EventMark.Kind.STARTED);
    }

    /** The longest time without an event, in milliseconds, over all jobs. */
    private record Gaps(long median, long p99, long p999, long longest) {
        @Override
        public String toString() {
            return "p50 %d, p99 %d, p99.9 %d, longest %d".formatted(median, p99, p999, longest);
        }
    }

    private Gaps gaps(List<String> ids) {
        List<Long> gaps = new ArrayList<>();
        for (String id : ids) {
            long last = -1;
            for (ReplyLog.Event event : rig.replies().all(id)) {
                if (event.mark().kind() == EventMark.Kind.CHUNK) {
                    if (last >= 0) {
                        gaps.add(event.timestamp() - last);
                    }
                    last = event.timestamp();
                }
            }
        }
        gaps.sort(null);
        int count = gaps.size();
        return new Gaps(gaps.get(count / 2), gaps.get(count * 99 / 100), gaps.get(count * 999 / 1000), gaps.getLast());
    }
}
