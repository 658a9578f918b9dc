package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.Settings;
import java.util.Map;
import org.junit.jupiter.api.Test;

class LimitsReaderTest {
    private final Mistakes mistakes = new Mistakes();
    private final LimitsReader reader = new LimitsReader(mistakes);

    @Test
    void all_streams_together_have_room_for_one() {
        Settings.Api api = reader.api(TestSettings.config(Map.of("penstock.api.max-stream-bytes", "100G"))
                .api());

        assertThat(api.streamBytes()).as("the largest array").isEqualTo(1 << 30);
        assertThat(api.allStreamsBytes()).isGreaterThanOrEqualTo(api.streamBytes());
        assertThat(mistakes.lines()).isEmpty();
    }

    @Test
    void the_answers_in_memory_are_limited_by_the_heap() {
        Settings.Answers answers = reader.answers(TestSettings.config(Map.of()).answers());

        assertThat(answers.bytes()).isLessThanOrEqualTo(LimitsReader.ofHeap());
        assertThat(mistakes.lines()).isEmpty();
    }

    @Test
    void the_breaker_has_defaults_that_are_the_same_without_and_with_a_configuration() {
        assertThat(reader.breaker(TestSettings.config(Map.of()).breaker())).isEqualTo(Settings.Breaker.USUAL);
        assertThat(mistakes.lines()).isEmpty();
    }

    @Test
    void each_wrong_limit_of_the_breaker_is_listed_with_its_key() {
        Settings.Breaker read = reader.breaker(TestSettings.config(Map.of(
                        "penstock.breaker.window", "65",
                        "penstock.breaker.minimum", "66",
                        "penstock.breaker.failure-rate", "1.5",
                        "penstock.breaker.half-open-after", "0s"))
                .breaker());

        assertThat(mistakes.lines())
                .containsExactly(
                        "penstock.breaker.window: must be from 1 to 64",
                        "penstock.breaker.minimum: must be at most breaker.window, 65",
                        "penstock.breaker.failure-rate: must be above 0 and at most 1",
                        "penstock.breaker.half-open-after: must be a positive duration");
        assertThat(read).isEqualTo(Settings.Breaker.USUAL);
    }

    @Test
    void the_line_of_calls_has_the_defaults_of_the_contract() {
        assertThat(reader.admission(TestSettings.config(Map.of()).admission()))
                .isEqualTo(new Settings.Admission(1_000, 0.25));
        assertThat(TestSettings.config(Map.of()).timeouts().queue()).hasSeconds(30);
        assertThat(mistakes.lines()).isEmpty();
    }

    @Test
    void a_wrong_limit_of_the_line_is_listed_with_its_key() {
        reader.admission(TestSettings.config(Map.of(
                        "penstock.admission.max-waiting", "-1",
                        "penstock.admission.interactive-share", "1.1"))
                .admission());

        assertThat(mistakes.lines())
                .containsExactly(
                        "penstock.admission.max-waiting: must be at least 0",
                        "penstock.admission.interactive-share: must lie between 0 and 1");
    }

    @Test
    void each_limit_that_is_too_small_is_listed_with_its_key() {
        var config = TestSettings.config(Map.of(
                "penstock.api.max-lines", "0",
                "penstock.api.idle-timeout", "0s",
                "penstock.api.max-streams-bytes", "10K",
                "penstock.answers.max-bytes", "10",
                "penstock.answers.max-pull", "10"));
        reader.api(config.api());
        reader.answers(config.answers());

        assertThat(mistakes.lines())
                .satisfiesExactly(
                        lines -> assertThat(lines).startsWith("penstock.api.max-lines: must be at least 1"),
                        idle -> assertThat(idle).startsWith("penstock.api.idle-timeout: must be a positive duration"),
                        streams -> assertThat(streams).startsWith("penstock.api.max-streams-bytes: must be at least"),
                        bytes -> assertThat(bytes).startsWith("penstock.answers.max-bytes: must be at least 1024"),
                        pull -> assertThat(pull).startsWith("penstock.answers.max-pull: must be at least 1024"));
    }
}
