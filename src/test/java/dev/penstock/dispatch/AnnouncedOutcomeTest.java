package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.testkit.Conditions;
import dev.penstock.wire.record.EventHeaders;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.errors.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The outcome of a job with a webhook is on the webhook topic before it is on the reply topic. */
@Timeout(60)
class AnnouncedOutcomeTest {
    private final RunRig rig = rig(true);
    private final FakeDelivery delivery = new FakeDelivery();

    private static RunRig rig(boolean brokerAnswers) {
        RunRig rig = new RunRig(
                RunRig.keys(
                        RunRig.VLLM,
                        Map.of(
                                "webhooks.orders.url", "http://127.0.0.1:1",
                                "webhooks.orders.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
                brokerAnswers);
        rig.webhook = "orders";
        return rig;
    }

    private static List<String> announced(RunRig rig) {
        return rig.announced.history().stream()
                .map(record -> EventHeaders.text(record.headers(), "event") + " "
                        + EventHeaders.text(record.headers(), "attempt"))
                .toList();
    }

    @Test
    void the_announcement_has_the_event_that_is_published() {
        rig.answers();

        RunRig.Run run = rig.start(rig.job("llama"), delivery).join();

        assertThat(run.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(announced(rig)).containsExactly("completed 1");
        assertThat(Arrays.equals(
                        rig.announced.history().getFirst().value(),
                        rig.producer.history().getLast().value()))
                .isTrue();
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    @Test
    void no_outcome_is_published_before_the_broker_has_its_announcement() {
        RunRig slow = rig(false);
        slow.answers();
        RunRig.Run run = slow.start(slow.job("llama"), delivery);

        Conditions.await(() -> announced(slow).size() == 1);
        assertThat(run.names()).containsExactly("started 1", "chunk 1");
        slow.announced.completeNext();
        Conditions.await(() -> run.names().size() == 3);
        Conditions.await(() -> {
            slow.producer.completeNext();
            return run.isOver();
        });
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    @Test
    void a_refused_announcement_is_made_again_with_a_new_attempt() {
        RunRig slow = rig(false);
        slow.answers();
        RunRig.Run run = slow.start(slow.job("llama"), delivery);

        Conditions.await(() -> announced(slow).size() == 1);
        slow.announced.errorNext(new TimeoutException("away"));
        Conditions.await(() -> {
            slow.producer.completeNext();
            slow.announced.completeNext();
            return run.isOver();
        });

        assertThat(announced(slow)).containsExactly("completed 1", "completed 2");
        assertThat(run.names()).endsWith("completed 2").doesNotContain("completed 1");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    @Test
    void every_way_to_end_is_announced() {
        rig.server().up("llama").onCall(call -> call.fail(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "no")));
        rig.start(rig.job("llama"), delivery).join();
        TakenJob cancelled = rig.job("llama");
        rig.cancelled.add(cancelled.job().id());
        rig.start(cancelled, new FakeDelivery()).join();
        FakeDelivery crashing = new FakeDelivery();
        crashing.redelivered = true;
        crashing.brokenRuns = Quarantine.POISON;
        RunRig.Run poison = rig.start(rig.job("llama"), crashing).join();

        assertThat(announced(rig)).containsExactly("failed 1", "cancelled 0", "failed 0");
        assertThat(poison.last().at("/error/code").asText()).isEqualTo("poison");
    }

    @Test
    void a_job_without_a_webhook_announces_nothing() {
        rig.webhook = null;
        rig.answers();

        rig.start(rig.job("llama"), delivery).join();

        assertThat(announced(rig)).isEmpty();
    }
}
