package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.settings.Settings;
import dev.penstock.settings.source.KnownKeys;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsReaderTest {
    @Test
    void every_mistake_is_listed_by_its_key() {
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of(
                        "penstock.nodes.a.backend", "vlm",
                        "penstock.nodes.a.url", "vllm-a:8000",
                        "penstock.nodes.b.backend", "vllm",
                        "penstock.nodes.b.url", "http://b",
                        "penstock.nodes.b.max-in-flight", "0",
                        "penstock.intake.slots", "0",
                        "penstock.default-profile", "fast",
                        "penstock.auth.mode", "keys",
                        "penstock.jobs.timeout", "2h")))
                .isInstanceOf(SettingsReader.InvalidSettings.class)
                .hasMessageContaining("7 mistakes")
                .hasMessageContaining("penstock.nodes.a.backend: 'vlm' is none of vllm, ollama")
                .hasMessageContaining("penstock.nodes.a.url")
                .hasMessageContaining("penstock.nodes.b.max-in-flight")
                .hasMessageContaining("penstock.intake.slots")
                .hasMessageContaining("penstock.default-profile: there is no profile 'fast'")
                .hasMessageContaining("penstock.auth.mode")
                .hasMessageContaining("penstock.jobs.timeout: is above penstock.jobs.max-timeout");
    }

    @ParameterizedTest
    @CsvSource({"none, uncompressed", "gzip, gzip", "lz4, lz4"})
    void replies_are_compressed_as_configured(String given, String ofTopic) {
        assertThat(TestSettings.ofFile(Map.of("penstock.replies.compression", given))
                        .replies()
                        .compression()
                        .ofTopic())
                .isEqualTo(ofTopic);
        assertThat(TestSettings.ofFile(Map.of()).replies().compression()).isEqualTo(Settings.Compression.LZ4);
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of("penstock.replies.compression", "snappy")))
                .hasMessageContaining("penstock.replies.compression: 'snappy' is none of none, gzip, lz4");
    }

    @Test
    void groups_have_the_names_of_the_contract_or_a_prefix_before_them() {
        Settings usual = TestSettings.ofFile(Map.of());
        Settings own =
                TestSettings.ofFile(Map.of("penstock.groups-prefix", "acme.", "penstock.topics.deferred", "later"));

        assertThat(usual.intake().topics()).extracting(usual::group).contains("penstock.prompt-jobs-high");
        assertThat(usual.deferredGroup()).isEqualTo("penstock.prompt-jobs-deferred");
        assertThat(own.intake().topics()).extracting(own::group).contains("acme.penstock.prompt-jobs-high");
        assertThat(own.deferredGroup()).isEqualTo("acme.penstock.later");
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of("penstock.groups-prefix", "a b")))
                .hasMessageContaining("penstock.groups-prefix: 'a b': expected at most 100 characters");
    }

    @Test
    void a_list_or_an_object_is_written_as_json_or_as_yaml() {
        Map<String, String> keys = new HashMap<>(Map.of(
                "penstock.nodes.a.backend", "vllm",
                "penstock.nodes.a.url", "http://a",
                "penstock.nodes.a.extra-body.chat_template_kwargs.enable_thinking", "false",
                "penstock.nodes.a.extra-body.\"a.b\".\"c.d\"[0].e", "text"));
        // the value that YAML makes of a list of texts
        keys.put("penstock.parameters.stop", "END,STOP");
        for (int i = 0; i < 12; i++) {
            keys.put("penstock.parameters.stop[" + i + "]", "END" + i);
        }

        Settings settings = SettingsReader.read(TestSettings.config(keys), Map.of(), keys);

        assertThat(settings.nodes().getFirst().requests().extraBody())
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "chat_template_kwargs",
                        Map.of("enable_thinking", false),
                        "a.b",
                        Map.of("c.d", List.of(Map.of("e", "text")))));
        assertThat(settings.parameters().get("stop"))
                .isEqualTo(IntStream.range(0, 12).mapToObj(i -> "END" + i).toList());
    }

    @Test
    void a_key_without_effect_is_a_mistake_unless_a_later_version_reads_it() {
        Map<String, String> keys = Map.of(
                "penstock.nodes.a.backend", "vllm",
                "penstock.nodes.a.url", "http://a",
                "penstock.nodes.a.weight", "2",
                "penstock.nodes.a.max_in_flight", "2",
                "penstock.intake.slotz", "4",
                "penstock.intake.topics[0].name", "mine",
                "penstock.images.allowed-hosts[0]", "images.example",
                "penstock.replies.allowed-topics", "mine",
                "penstock.auth.keys-file", "keys.yaml");

        assertThatThrownBy(() -> SettingsReader.read(TestSettings.config(keys), Map.of(), keys))
                .hasMessageContaining("2 mistakes")
                .hasMessageContaining(
                        "penstock.nodes.a.max_in_flight: there is no such key. Did you mean penstock.nodes.….max-in-flight?")
                .hasMessageContaining(
                        "penstock.intake.slotz: there is no such key. Did you mean penstock.intake.slots?");
        assertThat(keys.keySet())
                .filteredOn(KnownKeys::isLater)
                .containsExactlyInAnyOrder("penstock.replies.allowed-topics", "penstock.auth.keys-file");
    }

    @Test
    void jobs_do_not_come_from_a_topic_that_is_for_other_things() {
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of(
                        "penstock.intake.topics[0].name", "mine",
                        "penstock.intake.topics[1].name", "prompt-jobs-deferred",
                        "penstock.intake.topics[2].name", "mine")))
                .hasMessageContaining("'prompt-jobs-deferred' is the name of an internal topic")
                .hasMessageContaining("'mine' is there twice");
    }

    @Test
    void what_cannot_be_allowed_and_passwords_in_addresses_are_mistakes() {
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of(
                        "penstock.nodes.a.backend", "vllm",
                        "penstock.nodes.a.url", "http://me:secret@a",
                        "penstock.nodes.b.backend", "vllm",
                        "penstock.nodes.b.url", "http://b",
                        "penstock.nodes.b.timeouts.idle", "0s",
                        "penstock.nodes.b.embedding-batch", "0",
                        "penstock.jobs.allowed-fields", "temperature",
                        "penstock.images.allowed-hosts", "https://images.example/")))
                .hasMessageContaining("5 mistakes")
                .hasMessageContaining("penstock.nodes.a.url")
                .hasMessageContaining("penstock.nodes.b.timeouts.idle")
                .hasMessageContaining("penstock.nodes.b.embedding-batch")
                .hasMessageContaining("penstock.jobs.allowed-fields: 'temperature'")
                .hasMessageContaining("penstock.images.allowed-hosts")
                .satisfies(e -> assertThat(String.valueOf(e.getMessage())).doesNotContain("secret"));
    }

    @Test
    void the_api_of_ollama_is_closed_until_a_key_opens_it() {
        assertThat(TestSettings.defaults().compat().ollama()).isFalse();
        assertThat(TestSettings.ofFile(Map.of("penstock.compat.ollama", "true"))
                        .compat()
                        .ollama())
                .isTrue();
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of("penstock.compat.olama", "true")))
                .hasMessageContaining("penstock.compat.olama: there is no such key")
                .hasMessageContaining("Did you mean penstock.compat.ollama?");
    }

    @Test
    void limits_have_defaults_and_their_mistakes_name_their_keys() {
        Settings usual = TestSettings.defaults();
        assertThat(usual.api().lines()).isEqualTo(10_000);
        assertThat(usual.api().streams()).isEqualTo(1_000);
        assertThat(usual.api().header()).isEqualTo(Duration.ofSeconds(10));
        assertThat(usual.answers().line()).isEqualTo(16 << 20);
        assertThat(usual.answers().bytes()).isLessThanOrEqualTo(64L << 20);

        String name = "x".repeat(300);
        assertThatThrownBy(() -> TestSettings.ofFile(Map.ofEntries(
                        Map.entry("penstock.api.max-lines", "0"),
                        Map.entry("penstock.api.max-streams", "0"),
                        Map.entry("penstock.api.header-timeout", "0s"),
                        Map.entry("penstock.api.max-streams-bytes", "10K"),
                        Map.entry("penstock.answers.max-line", "10"),
                        Map.entry("penstock.answers.max-bytes", "10"),
                        Map.entry("penstock.profiles.p.vllm", name),
                        Map.entry("penstock.nodes.a.backend", "vllm"),
                        Map.entry("penstock.nodes.a.url", "http://a"),
                        Map.entry("penstock.nodes.a.pool", name),
                        Map.entry("penstock.nodes.a.model", name))))
                .hasMessageContainingAll(
                        "penstock.api.max-lines: must be at least 1",
                        "penstock.api.max-streams: must be at least 1",
                        "penstock.api.header-timeout: must be a positive duration",
                        "penstock.api.max-streams-bytes: must be at least api.max-stream-bytes",
                        "penstock.answers.max-line: must be at least 1024",
                        "penstock.answers.max-bytes: must be at least 1024",
                        "penstock.profiles.p.vllm: a model's name has 1 to 256 characters",
                        "penstock.nodes.a.pool: a pool's name has 1 to 64 characters",
                        "penstock.nodes.a.model: a model's name has 1 to 256 characters");
    }
}
