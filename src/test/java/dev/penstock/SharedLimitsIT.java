package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** max-in-flight limits what a node takes from all replicas together. */
class SharedLimitsIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final int LIMIT = 10;

    @Test
    void three_replicas_share_a_nodes_limit_and_two_share_that_of_one_that_died() throws Exception {
        try (Rig rig = Rig.start("limits")) {
            PenstockProcess first = rig.start(replica(rig, "first"));
            awaitLimits(List.of(first), limits -> limits.equals(List.of(LIMIT)));
            PenstockProcess second = rig.start(replica(rig, "second"));
            // a replica without a ledger counts too
            PenstockProcess third = rig.start(replica(rig, "third").config("penstock.ledger.kind", "none"));
            List<PenstockProcess> all = List.of(first, second, third);

            awaitLimits(all, limits -> sum(limits) == LIMIT && limits.stream().allMatch(limit -> limit >= 3));
            rig.fake().reset();
            List<String> together = Rig.ids("together", 120);
            rig.send(together, "[[tokens=1 first=1000]]");
            rig.replies().awaitOutcomes(together, PATIENCE);
            int most = rig.fake().stats().maxInFlight();
            for (String id : together) {
                JsonNode job = Rest.get(first.url(), "/v1/jobs/" + id, "Prefer", "wait=20")
                        .json();
                assertThat(job.path("status").asText())
                        .as("%s: who keeps no ledger takes no part of it from others", id)
                        .isEqualTo("completed");
            }

            third.kill9();
            long killed = System.nanoTime();
            List<PenstockProcess> left = List.of(first, second);
            awaitLimits(left, limits -> limits.equals(List.of(LIMIT / 2, LIMIT / 2)));
            double seconds = Rig.seconds(killed);
            rig.fake().reset();
            List<String> afterwards = Rig.ids("afterwards", 120);
            rig.send(afterwards, "[[tokens=1 first=1000]]");
            rig.replies().awaitOutcomes(afterwards, PATIENCE);

            System.out.printf(
                    "a node that takes %d at once: %d at most from three replicas; the share of one that was killed was the others' after %.1f s, and then %d at most%n",
                    LIMIT, most, seconds, rig.fake().stats().maxInFlight());
            assertThat(most).isBetween(LIMIT / 2, LIMIT);
            assertThat(rig.fake().stats().maxInFlight()).isBetween(LIMIT / 2, LIMIT);
            assertThat(rig.replies().outcomes(together)).isEqualTo(Map.of("completed", together.size()));
        }
    }

    @Test
    void a_node_that_takes_less_than_there_are_replicas_gets_one_from_each_and_a_warning() throws Exception {
        try (Rig rig = Rig.start("limits_one")) {
            PenstockProcess first = rig.start(rig.replica("first", 1));
            assertThat(ready(first)).doesNotContain("warning.slots");
            PenstockProcess second = rig.start(rig.replica("second", 1));

            Conditions.await(
                    () -> ready(first).contains("warning.slots.fake")
                            && ready(second).contains("warning.slots.fake"),
                    PATIENCE,
                    "both are warned");
            assertThat(ready(first)).contains("node 'fake' takes 1 at once, and there are 2 replicas");
            assertThat(limit(first) + limit(second)).isEqualTo(2);

            second.terminate();
            Conditions.await(() -> !ready(first).contains("warning.slots"), PATIENCE, "it is alone again");
        }
    }

    private static PenstockProcess.Builder replica(Rig rig, String name) {
        return rig.replica(name, LIMIT).config("penstock.intake.slots", "64");
    }

    private static void awaitLimits(List<PenstockProcess> replicas, Predicate<List<Integer>> wanted)
            throws InterruptedException {
        Conditions.await(
                () -> {
                    List<Integer> limits = new ArrayList<>();
                    for (PenstockProcess replica : replicas) {
                        limits.add(limit(replica));
                    }
                    return wanted.test(limits);
                },
                PATIENCE,
                "each has its share");
    }

    private static int sum(Collection<Integer> numbers) {
        return numbers.stream().mapToInt(Integer::intValue).sum();
    }

    private static int limit(PenstockProcess replica) throws InterruptedException {
        return Rest.get(replica.url(), "/v1/nodes/fake").json().path("limit").asInt();
    }

    private static String ready(PenstockProcess replica) throws InterruptedException {
        return Rest.get(replica.managementUrl(), "/q/health/ready").body();
    }
}
