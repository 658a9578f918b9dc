package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelNameTest {
    @ParameterizedTest
    @CsvSource({
        "tiny, tiny:latest",
        "llama3.2:3b, llama3.2:3b",
        "registry:5000/library/tiny, registry:5000/library/tiny:latest",
        "hf:user/Repo-GGUF:Q4_K_M, hf.co/user/Repo-GGUF:Q4_K_M",
        "hf:user/repo, hf.co/user/repo:latest",
    })
    void in_full_as_ollama_lists_it(String named, String listed) {
        assertThat(ModelName.atOllama(named)).isEqualTo(listed);
        assertThat(ModelName.same(listed, named)).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "user/repo:Q4_K_M, hf:user/repo:q4_k_m, true",
        "hf.co/user/repo:Q4_K_M, hf:user/repo:q4_k_m, true",
        "hf.co/user/repo:Q8_0, hf:user/repo:Q4_K_M, false",
        "Tiny, tiny, false",
        "tiny:3b, tiny, false",
        "tiny:latest, tiny, true",
        "tiny, tiny:latest, true",
        "claude-opus-4-20250514, claude-opus-4, true",
        "claude-3-5-haiku-20241022, claude-3-5-haiku-latest, true",
        "claude-opus-4-20250514, claude-opus, false",
        "claude-opus-4-1, claude-opus-4, false",
    })
    void the_same_model_under_another_name(String listed, String named, boolean same) {
        assertThat(ModelName.same(listed, named)).isEqualTo(same);
    }
}
