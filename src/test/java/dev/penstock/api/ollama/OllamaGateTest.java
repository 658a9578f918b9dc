package dev.penstock.api.ollama;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OllamaGateTest {
    private final OllamaGate closed = new OllamaGate(() -> false);
    private final OllamaGate open = new OllamaGate(() -> true);

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/",
                "",
                "/api",
                "/api/",
                "/api/chat",
                "/api/generate",
                "/api/embed",
                "/api/embeddings",
                "/api/tags",
                "/api/ps",
                "/api/show",
                "/api/version",
                "/api/version/",
                "//api//version",
                "/api;a=1/version;b",
                "/api/pull"
            })
    void without_the_setting_no_path_of_ollama_is_there(String path) {
        assertThat(closed.isClosed(path)).isTrue();
        assertThat(open.isClosed(path)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/jobs", "/v1/models/a/api/chat", "/apis", "/q/openapi", "/v1/api/chat"})
    void the_setting_changes_no_other_path(String path) {
        assertThat(closed.isClosed(path)).isFalse();
        assertThat(open.missing(path)).isEmpty();
        assertThat(closed.missing(path)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"/api/chat", "/api/chat/", "/api/embeddings", "/api/tags", "/"})
    void a_path_that_is_served_is_not_missing(String path) {
        assertThat(open.missing(path)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"/api/pull", "/api/create", "/api/delete", "/api/blobs/sha256:0", "/api/chat/1"})
    void a_path_that_only_ollama_has_is_refused_by_its_name(String path) {
        JobFailure failure = open.missing(path).orElseThrow();

        assertThat(failure.code().httpStatus()).isEqualTo(404);
        assertThat(failure.message()).startsWith(path + " is not available in this version");
    }

    @Test
    void an_error_has_the_shape_and_type_of_ollama() {
        try (var answer = OllamaGate.error(JobFailure.of(JobFailure.Code.RATE_LIMITED, "too many"))) {
            assertThat(answer.getStatus()).isEqualTo(429);
            assertThat(answer.getHeaderString("Retry-After")).isEqualTo("2");
            assertThat(answer.getMediaType()).hasToString("application/json;charset=utf-8");
            assertThat(new String((byte[]) answer.getEntity(), StandardCharsets.UTF_8))
                    .isEqualTo("{\"error\":\"too many\"}");
        }
    }
}
