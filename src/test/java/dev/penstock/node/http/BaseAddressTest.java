package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BaseAddressTest {
    @ParameterizedTest
    @CsvSource({
        "http://h, /v1/chat/completions, /v1/chat/completions",
        "http://h/, /v1/models, /v1/models",
        "http://h/v1, /v1/models, /v1/models",
        "http://h/v1/, /v1/models?limit=1000, /v1/models?limit=1000",
        "http://h/api/paas/v4, /v1/chat/completions, /api/paas/v4/chat/completions",
        "http://h/api/paas/v4/, /v1/chat/completions, /api/paas/v4/chat/completions",
        "http://h/v1beta/openai, /v1/chat/completions, /v1beta/openai/chat/completions",
        "http://h/openai/v1, /v1/embeddings, /openai/v1/embeddings",
        "http://h/v2alpha1, /v1/messages, /v2alpha1/messages",
        "http://h/v1.1, /v1/completions, /v1.1/completions",
        "http://h/llama, /v1/completions, /llama/v1/completions",
        "http://h/dev1, /v1/completions, /dev1/v1/completions",
        "http://h/openai, /v1/completions, /openai/v1/completions",
        "http://h/api/paas/v4, /props, /api/paas/v4/props",
        "http://h/ollama, /api/chat, /ollama/api/chat"
    })
    void a_base_that_names_its_version_gets_no_second_one(String base, String path, String whole) {
        assertThat(BaseAddress.path(URI.create(base), path)).isEqualTo(whole);
    }
}
