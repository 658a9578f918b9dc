package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.IntakeMode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class IntakeReaderTest {
    private final Mistakes mistakes = new Mistakes();

    @Test
    void the_usual_topics_have_a_priority_each_and_all_slots() {
        Settings.Intake intake = read(Map.of("penstock.intake.slots", "7"));

        assertThat(intake.topics())
                .containsExactly(
                        new Settings.JobTopic("prompt-jobs-high", Priority.HIGH, "default", 7),
                        new Settings.JobTopic("prompt-jobs", Priority.NORMAL, "default", 7),
                        new Settings.JobTopic("prompt-jobs-low", Priority.LOW, "default", 7));
        assertThat(intake.mode()).as("auto").isEmpty();
        assertThat(mistakes.lines()).isEmpty();
    }

    @Test
    void the_share_client_is_our_own_unless_kafkas_is_configured() {
        assertThat(read(Map.of()).shareClient()).isEqualTo(Settings.ShareClientKind.OWN);
        assertThat(read(Map.of("penstock.intake.share-client", "kafka")).shareClient())
                .isEqualTo(Settings.ShareClientKind.KAFKA);
        read(Map.of("penstock.intake.share-client", "ours"));
        assertThat(mistakes.lines()).containsExactly("penstock.intake.share-client: 'ours' is none of own, kafka");
    }

    @Test
    void kafkas_share_client_has_a_fixed_shape() {
        Settings.Intake usual = read(Map.of("penstock.intake.slots", "500"));
        assertThat(usual.consumers()).isEqualTo(16);
        assertThat(usual.batch()).isEqualTo(16);

        Settings.Intake configured = read(Map.of("penstock.intake.consumers", "4", "penstock.intake.batch", "100"));
        assertThat(configured.consumers()).isEqualTo(4);
        assertThat(configured.batch()).isEqualTo(100);
    }

    @Test
    void a_shape_without_effect_is_a_warning() {
        Map<String, String> shape = Map.of("penstock.intake.consumers", "4", "penstock.intake.batch", "100");
        Map<String, String> ofKafka = new HashMap<>(shape);
        ofKafka.put("penstock.intake.share-client", "kafka");

        assertThat(SettingsReader.withoutEffect(TestSettings.config(ofKafka))).isEmpty();
        assertThat(SettingsReader.withoutEffect(TestSettings.config(Map.of()))).isEmpty();
        assertThat(SettingsReader.withoutEffect(TestSettings.config(shape)))
                .containsExactly(
                        "penstock.intake.consumers has no effect: it only applies to penstock.intake.share-client: kafka. The next release refuses it",
                        "penstock.intake.batch has no effect: it only applies to penstock.intake.share-client: kafka. The next release refuses it");
    }

    @Test
    void configured_topics_replace_the_usual_ones() {
        Settings.Intake intake = read(Map.of(
                "penstock.intake.mode", "classic",
                "penstock.intake.topics[0].name", "mine",
                "penstock.intake.topics[0].priority", "low",
                "penstock.intake.topics[0].tenant", "acme",
                "penstock.intake.topics[0].slots", "3"));

        assertThat(intake.topics()).containsExactly(new Settings.JobTopic("mine", Priority.LOW, "acme", 3));
        assertThat(intake.mode()).contains(IntakeMode.CLASSIC);
    }

    @Test
    void a_name_is_there_once_and_is_no_internal_topic() {
        read(Map.of(
                "penstock.intake.topics[0].name", "mine",
                "penstock.intake.topics[1].name", "prompt-replies",
                "penstock.intake.topics[2].name", "mine",
                "penstock.intake.topics[3].name", "my topic"));

        assertThat(mistakes.lines())
                .containsExactly(
                        "penstock.intake.topics: 'prompt-replies' is the name of an internal topic (penstock.topics)",
                        "penstock.intake.topics: 'mine' is there twice",
                        "penstock.intake.topics: 'my topic' is no name of a Kafka topic");
    }

    @Test
    void each_wrong_value_is_listed_with_its_key() {
        read(Map.of(
                "penstock.intake.slots", "0",
                "penstock.intake.consumers", "0",
                "penstock.intake.park", "0s",
                "penstock.intake.max-bytes", "1K",
                "penstock.intake.low-share", "1.5",
                "penstock.intake.batch", "0",
                "penstock.intake.mode", "fast",
                "penstock.intake.topics[0].name", "mine",
                "penstock.intake.topics[0].priority", "urgent",
                "penstock.intake.topics[0].slots", "0"));

        assertThat(mistakes.lines())
                .extracting(line -> List.of(line.split(":")).getFirst())
                .containsExactlyInAnyOrder(
                        "penstock.intake.slots",
                        "penstock.intake.consumers",
                        "penstock.intake.park",
                        "penstock.intake.max-bytes",
                        "penstock.intake.low-share",
                        "penstock.intake.batch",
                        "penstock.intake.mode",
                        "penstock.intake.topics[0].priority",
                        "penstock.intake.topics[0].slots");
    }

    private Settings.Intake read(Map<String, String> keys) {
        return new IntakeReader(mistakes).read(TestSettings.config(keys));
    }
}
