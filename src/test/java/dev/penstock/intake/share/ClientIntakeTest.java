package dev.penstock.intake.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.setup.ModeChoice;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.PlayedAdmin;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How many records all topics may have in flight. */
@Timeout(60)
class ClientIntakeTest {
    private final PlayedTopics client = new PlayedTopics();
    private final AtomicInteger capacity = new AtomicInteger(1_000);
    private final Settings settings = TestSettings.ofFile(Map.of("penstock.intake.slots", "64"));
    private final AtomicInteger blocked = new AtomicInteger();
    private final AtomicBoolean swaps = new AtomicBoolean();
    private final ClientIntake intake = intake();

    @SuppressWarnings("NullAway") // nothing is deferred or dead-lettered here
    private ClientIntake intake() {
        return new ClientIntake(
                settings,
                client,
                new ClientTopic.Parts(
                        _ -> true,
                        _ -> 64,
                        _ -> Integer.MAX_VALUE,
                        _ -> {},
                        _ -> {},
                        null,
                        new ShareDelivery.Origins(
                                new ModeChoice.Chosen(IntakeMode.SHARE, Map.of(), Map.of()),
                                new LeaderEpochs(new PlayedAdmin()::client, List.of()))),
                capacity::get,
                blocked::get,
                swaps::get,
                Map.of(),
                new SimpleMeterRegistry());
    }

    private PlayedTopics.Topic topic() {
        return client.topics.values().iterator().next();
    }

    @Test
    void more_urgent_topics_are_served_first_each_in_its_group() {
        assertThat(client.topics.keySet()).containsExactly("prompt-jobs-high", "prompt-jobs", "prompt-jobs-low");
        assertThat(topic().group).isEqualTo("penstock.prompt-jobs-high");
        assertThat(client.topics.values())
                .allSatisfy(topic -> assertThat(topic.most).isZero());
    }

    @Test
    void at_first_a_few_wait_here() {
        intake.setRooms();

        assertThat(client.room).isEqualTo(64 + 8);
        assertThat(topic().least).isEqualTo(4);
    }

    @Test
    void behind_blocked_jobs_there_may_be_jobs_for_an_idle_node() {
        blocked.set(16);
        intake.setRooms();
        assertThat(client.room).isEqualTo(64 + 8 + 16);
        assertThat(topic().most).isEqualTo(64 + 8 + 16);

        blocked.set(Integer.MAX_VALUE);
        intake.setRooms();
        assertThat(client.room).isEqualTo(64 + 8 + 1_000);
    }

    @Test
    void more_wait_here_while_a_node_changes_its_model() {
        capacity.set(1);
        swaps.set(true);
        intake.setRooms();
        assertThat(client.room).isEqualTo(1 + 64);
    }

    @Test
    void the_nodes_may_take_less_than_the_slots() {
        capacity.set(10);
        intake.setRooms();
        assertThat(client.room).isEqualTo(10 + 8);

        capacity.set(0);
        intake.setRooms();
        assertThat(client.room).isEqualTo(8);
    }

    @Test
    void what_the_brokers_refuse_is_a_warning_of_the_topic_with_a_remedy() {
        assertThat(intake.warnings()).isEmpty();

        topic().refusals.put("heartbeat", "GROUP_MAX_SIZE_REACHED: The group has reached its maximum capacity");
        assertThat(intake.warnings())
                .isEqualTo(
                        Map.of(
                                "share.prompt-jobs-high",
                                "heartbeat: GROUP_MAX_SIZE_REACHED: The group has reached its maximum capacity. Raise group.share.max.size on the brokers, or run fewer replicas"));
    }

    @ParameterizedTest
    @CsvSource({
        "GROUP_AUTHORIZATION_FAILED, on the group penstock.prompt-jobs-high",
        "TOPIC_AUTHORIZATION_FAILED, on the topic prompt-jobs-high",
        "UNKNOWN_TOPIC_OR_PARTITION, Create the topic prompt-jobs-high",
        "SHARE_SESSION_LIMIT_REACHED, Raise group.share.max.share.sessions",
        "GROUP_ID_NOT_FOUND, The group penstock.prompt-jobs-high is not a share group",
        "UNSUPPORTED_VERSION, Share groups need Kafka 4.3",
        "COORDINATOR_NOT_AVAILABLE, See the brokers' log",
    })
    void each_refusal_has_its_remedy(String error, String remedy) {
        topic().refusals.put("share session", error + ": why");

        assertThat(intake.warnings().get("share.prompt-jobs-high"))
                .startsWith("share session: " + error + ": why. ")
                .contains(remedy);
    }

    @Test
    void the_end_of_the_clients_thread_ends_the_thread_that_liveness_asks_for() throws Exception {
        client.closed = true;
        intake.keepRooms();

        assertThat(client.room).as("nothing was set").isEqualTo(-1);
    }

    @Test
    void it_takes_records_from_its_start_to_its_stop() throws Exception {
        intake.start();
        assertThat(client.started).isTrue();
        assertThat(topic().most).isPositive();

        intake.stop();
        intake.setRooms();
        assertThat(client.topics.values())
                .allSatisfy(topic -> assertThat(topic.most).isZero());
        assertThat(client.closed).isFalse();

        intake.close();
        intake.awaitClosed();
        assertThat(client.closed).isTrue();
    }
}
