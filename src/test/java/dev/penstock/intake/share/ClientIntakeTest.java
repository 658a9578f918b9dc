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
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How many records all topics may have in flight. */
@Timeout(60)
class ClientIntakeTest {
    private final PlayedTopics client = new PlayedTopics();
    private final AtomicInteger capacity = new AtomicInteger(1_000);
    private final Settings settings = TestSettings.ofFile(Map.of("penstock.intake.slots", "64"));
    private final ClientIntake intake = intake();

    @SuppressWarnings("NullAway") // nothing is deferred or dead-lettered here
    private ClientIntake intake() {
        return new ClientIntake(
                settings,
                client,
                new ClientTopic.Parts(
                        _ -> true,
                        _ -> 64,
                        _ -> {},
                        _ -> {},
                        null,
                        new ShareDelivery.Origins(
                                new ModeChoice.Chosen(IntakeMode.SHARE, Map.of(), Map.of()),
                                new LeaderEpochs(new PlayedAdmin()::client, List.of()))),
                capacity::get,
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
    void half_as_many_as_run_wait_here() {
        intake.setRooms();

        assertThat(client.room).isEqualTo(64 + 32);
        assertThat(topic().least).isEqualTo(4);
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
