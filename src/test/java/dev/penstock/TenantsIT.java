package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Tenants share the nodes by their weights, and a tenant at its limit waits alone. */
@Tag("long")
class TenantsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    /** One tenant has ten times longer answers than the other, and both always have jobs waiting. */
    @Test
    void two_tenants_with_a_backlog_get_tokens_in_the_ratio_of_their_weights() throws Exception {
        try (Rig rig = Rig.start("tenants")) {
            PenstockProcess replica = rig.start(rig.replica("replica", 4)
                    .config("penstock.intake.topics[0].name", "jobs-one")
                    .config("penstock.intake.topics[0].tenant", "one")
                    .config("penstock.intake.topics[1].name", "jobs-three")
                    .config("penstock.intake.topics[1].tenant", "three")
                    .config("penstock.tenants.three.weight", "3"));
            send(rig, "jobs-one", 400, "[[tokens=400 delay=5]]");
            send(rig, "jobs-three", 3_000, "[[tokens=40 delay=5]]");

            awaitOutput(replica, "one", 2_000);
            awaitOutput(replica, "three", 2_000);
            double oneBefore = served(replica, "one");
            double threeBefore = served(replica, "three");
            awaitOutput(replica, "one", 12_000);
            double one = served(replica, "one") - oneBefore;
            double three = served(replica, "three") - threeBefore;

            System.out.printf(
                    "weights 1:3, answers of 400 and 40 tokens, 4 slots: %.0f and %.0f tokens served, 1:%.2f; %d at once%n",
                    one, three, three / one, rig.fake().stats().maxInFlight());
            assertThat(three / one).isBetween(2.7, 3.3);
            assertThat(output(replica, "three")).as("it still has a backlog").isLessThan(3_000 * 40);
            assertThat(rig.fake().stats().maxInFlight()).isEqualTo(4);
        }
    }

    @Test
    void a_tenant_at_its_limit_waits_alone_and_says_why() throws Exception {
        try (Rig rig = Rig.start("tenant_limit")) {
            PenstockProcess replica = rig.start(rig.replica("replica", 8)
                    .config("penstock.intake.topics[0].name", "jobs-mixed")
                    .config("penstock.intake.topics[0].tenant", "from-record")
                    .config("penstock.tenants.few.max-in-flight", "1"));
            try (JobSender jobs = new JobSender(rig.broker().bootstrap(), "jobs-mixed", Map.of())) {
                for (String id : List.of("few-0", "few-1", "few-2")) {
                    jobs.sendRaw(0, job(id, "few", "[[tokens=30 delay=500]]"));
                }
                for (String id : Rig.ids("other", 20)) {
                    jobs.sendRaw(0, job(id, "other", "[[tokens=1]]"));
                }
                jobs.flush();
            }

            rig.replies().awaitOutcomes(Rig.ids("other", 20), PATIENCE);
            assertThat(rig.replies().outcomes(List.of("few-0", "few-1", "few-2")))
                    .isEqualTo(Map.of("open", 3));
            JsonNode waiting = awaitWaiting(replica, "few-1", "it waits in the replica", "1 of 1 jobs in flight");
            assertThat(waiting.path("message").asText())
                    .isEqualTo(
                            "tenant 'few' has reached its max-in-flight: 1 of 1 jobs in flight; a job may start when one of them ends");
            awaitWaiting(replica, "few-2", "it made room for other jobs", "it comes back at");

            rig.replies().awaitOutcomes(List.of("few-0", "few-1", "few-2"), PATIENCE);
            assertThat(rig.replies().outcomes(List.of("few-0", "few-1", "few-2")))
                    .isEqualTo(Map.of("completed", 3));
            for (String id : List.of("few-0", "few-1", "few-2")) {
                assertThat(rig.replies().count(id, EventMark.Kind.STARTED))
                        .as(id)
                        .isEqualTo(1);
            }
        }
    }

    private static JsonNode awaitWaiting(PenstockProcess replica, String id, String what, String message)
            throws InterruptedException {
        JsonNode[] waiting = new JsonNode[1];
        Conditions.await(
                () -> {
                    waiting[0] =
                            Rest.get(replica.url(), "/v1/jobs/" + id).json().path("waiting_for");
                    return waiting[0].path("code").asText().equals("tenant_limit")
                            && waiting[0].path("message").asText().contains(message);
                },
                PATIENCE,
                what);
        return waiting[0];
    }

    private static byte[] job(String id, String tenant, String prompt) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"job\":{\"id\":\"%s\",\"tenant\":\"%s\"}}"
                .formatted(prompt, id, tenant)
                .getBytes(StandardCharsets.UTF_8);
    }

    private static void send(Rig rig, String topic, int count, String prompt) throws InterruptedException {
        try (JobSender jobs = new JobSender(rig.broker().bootstrap(), topic, Map.of())) {
            Rig.ids(topic, count).forEach(id -> jobs.send(id, prompt));
            jobs.flush();
        }
    }

    private static void awaitOutput(PenstockProcess replica, String tenant, int tokens) throws InterruptedException {
        Conditions.await(() -> output(replica, tenant) >= tokens, PATIENCE, tokens + " tokens of " + tenant);
    }

    private static double output(PenstockProcess replica, String tenant) throws InterruptedException {
        return tokens(replica, tenant, "output");
    }

    /** Returns the tokens as the scheduler weighs them. */
    private static double served(PenstockProcess replica, String tenant) throws InterruptedException {
        return tokens(replica, tenant, "input") + 2 * tokens(replica, tenant, "output");
    }

    private static double tokens(PenstockProcess replica, String tenant, String type) throws InterruptedException {
        return Metrics.value(replica, "penstock_tenant_tokens_total{tenant=\"%s\",type=\"%s\"}".formatted(tenant, type))
                .orElse(0);
    }
}
