package dev.penstock.node.signals;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.upstream.Recording;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The figures of real servers' recorded answers. */
class SignalSourceTest {
    private static String recorded(String name) throws IOException {
        try (InputStream in =
                Objects.requireNonNull(SignalSourceTest.class.getResourceAsStream("/signals/" + name + ".txt"))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    @Test
    void vllm_with_a_queue() throws IOException {
        Signals signals =
                SignalSource.VLLM_METRICS.read(recorded("vllm-metrics-queued")).orElseThrow();

        assertThat(signals).isEqualTo(Signals.of(2, 4, 0.015748031496062964));
    }

    @Test
    void the_older_name_of_the_cache_of_vllm() throws IOException {
        String older = recorded("vllm-metrics-queued").replace("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc");

        assertThat(SignalSource.VLLM_METRICS.read(older).orElseThrow().cacheUse())
                .isEqualTo(0.015748031496062964);
    }

    @Test
    void llama_server_with_a_queue_by_its_metrics_and_by_its_slots() throws IOException {
        assertThat(SignalSource.LLAMA_METRICS.read(recorded("llama-server-metrics-queued")))
                .contains(Signals.of(1, 3, 0));
        assertThat(SignalSource.LLAMA_SLOTS.read(recorded("llama-server-slots-queued")))
                .contains(Signals.of(1, 0, 0));
        assertThat(SignalSource.LLAMA_SLOTS.read(
                        String.join("", Recording.of("llama-server/slots-idle").chunks())))
                .contains(Signals.of(0, 0, 0));
    }

    @Test
    void ollama_lists_the_models_in_memory() {
        String loaded = String.join("", Recording.of("ollama/ps-loaded").chunks());
        String empty = String.join("", Recording.of("ollama/ps-empty").chunks());

        assertThat(SignalSource.OLLAMA_PS.read(loaded).flatMap(Signals::loaded).orElseThrow())
                .containsExactlyInAnyOrder("tiny-insert:latest", "tiny:latest", "tiny-tools:latest");
        assertThat(SignalSource.OLLAMA_PS.read(empty).flatMap(Signals::loaded)).contains(Set.of());
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            several engines are summed    | vllm:num_requests_running{engine="0"} 2.0;vllm:num_requests_running{engine="1"} 3;vllm:num_requests_waiting 1 | 5 | 1 | 0
            the fullest cache counts      | vllm:num_requests_running 0;vllm:num_requests_waiting 0;vllm:kv_cache_usage_perc{a="1"} 0.2;vllm:kv_cache_usage_perc{a="2"} 0.97 | 0 | 0 | 0.97
            a label with a brace and a space | vllm:num_requests_running{model_name="a} 9"} 2;vllm:num_requests_waiting{m=""} 0 1700000000 | 2 | 0 | 0
            exponents                     | vllm:num_requests_running 1e1;vllm:num_requests_waiting 0.0 | 10 | 0 | 0
            names that only begin alike   | vllm:num_requests_running 1;vllm:num_requests_waiting 2;vllm:num_requests_waiting_by_reason{r="x"} 9 | 1 | 2 | 0
            """)
    void the_text_format(String name, String lines, int running, int waiting, double cache) {
        assertThat(SignalSource.VLLM_METRICS.read(lines.replace(';', '\n')))
                .contains(Signals.of(running, waiting, cache));
    }

    @ParameterizedTest
    @EnumSource
    void an_answer_without_the_figures_gives_no_signals(SignalSource source) {
        for (String document : new String[] {
            "",
            "[]",
            "{}",
            "<html>",
            "vllm:num_requests_running 1",
            "vllm:num_requests_running NaN\nvllm:num_requests_waiting x",
            "vllm:num_requests_running -1\nvllm:num_requests_waiting 0",
            "vllm:num_requests_running 1e300\nvllm:num_requests_waiting 0",
            "llamacpp:requests_processing",
            "{\"error\":{\"code\":501}}"
        }) {
            assertThat(source.read(document)).as(document).isEqualTo(Optional.empty());
        }
    }
}
