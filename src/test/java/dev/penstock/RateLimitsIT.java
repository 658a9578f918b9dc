package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Exchange;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Three replicas share the limits of one node. */
@Tag("long")
class RateLimitsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(3);

    @Test
    void three_replicas_use_all_of_a_nodes_slots_and_never_more() throws Exception {
        try (Rig rig = Rig.start("six")) {
            List<PenstockProcess> replicas = replicas(rig, 6, Map.of());
            awaitShares(replicas, 2);
            rig.fake().reset();
            List<String> ids = Rig.ids("job", 90);
            rig.send(ids, "[[tokens=1 first=400]]");
            rig.replies().awaitOutcomes(ids, PATIENCE);

            System.out.printf(
                    "three replicas, a node that takes 6 at once: at most %d%n",
                    rig.fake().stats().maxInFlight());
            assertThat(rig.fake().stats().maxInFlight()).isEqualTo(6);
            assertThat(rig.replies().outcomes(ids)).isEqualTo(Map.of("completed", ids.size()));
        }
    }

    @Test
    void no_minute_has_more_requests_than_the_node_may_get_from_three_replicas() throws Exception {
        int limit = 60;
        try (Rig rig = Rig.start("minute")) {
            List<PenstockProcess> replicas =
                    replicas(rig, 60, Map.of("penstock.nodes.fake.requests-per-minute", Integer.toString(limit)));
            awaitShares(replicas, 20);
            rig.fake().reset();
            List<String> ids = Rig.ids("job", limit + limit / 2);
            rig.send(ids, "[[tokens=1]]");
            rig.replies().awaitOutcomes(ids, PATIENCE);

            List<Instant> begun = rig.fake().requests().stream()
                    .map(Exchange::startedAt)
                    .sorted()
                    .toList();
            int most = 0;
            for (Instant first : begun) {
                Instant end = first.plus(Duration.ofMinutes(1));
                most = Math.max(most, (int) begun.stream()
                        .filter(each -> !each.isBefore(first) && each.isBefore(end))
                        .count());
            }
            Duration all = Duration.between(begun.getFirst(), begun.getLast());
            System.out.printf(
                    "three replicas, %d requests per minute: at most %d in any minute; %d jobs took %s%n",
                    limit, most, begun.size(), all);
            assertThat(begun).hasSize(limit + limit / 2);
            assertThat(most).isBetween(limit - limit / 5, limit);
            assertThat(all).isLessThan(Duration.ofMinutes(4));
        }
    }

    private static List<PenstockProcess> replicas(Rig rig, int limit, Map<String, String> config)
            throws InterruptedException {
        List<PenstockProcess> replicas = new ArrayList<>();
        for (String name : List.of("first", "second", "third")) {
            PenstockProcess.Builder replica = rig.replica(name, limit).config("penstock.intake.slots", "64");
            config.forEach(replica::config);
            replicas.add(rig.start(replica));
        }
        return replicas;
    }

    private static void awaitShares(List<PenstockProcess> replicas, int share) throws InterruptedException {
        Conditions.await(
                () -> {
                    for (PenstockProcess replica : replicas) {
                        if (Rest.get(replica.url(), "/v1/nodes/fake")
                                        .json()
                                        .path("limit")
                                        .asInt()
                                != share) {
                            return false;
                        }
                    }
                    return true;
                },
                PATIENCE,
                "each has its share");
    }
}
