package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PromptSizeTest {
    @Test
    void it_counts_the_text_that_the_model_reads() {
        assertThat(PromptSize.chars(Map.of("prompt", "12345", "system", "123", "model", "llama")))
                .isEqualTo(8);
        assertThat(PromptSize.chars(Map.of(
                        "messages",
                        List.of(
                                Map.of("role", "system", "content", "12"),
                                Map.of(
                                        "role",
                                        "user",
                                        "content",
                                        List.of(
                                                Map.of("type", "text", "text", "1234"),
                                                Map.of("type", "image_url", "image_url", Map.of("url", "data:x"))))))))
                .isEqualTo(6);
        assertThat(PromptSize.chars(Map.of("input", Arrays.asList("1", "22", null, 7))))
                .isEqualTo(3);
        assertThat(PromptSize.chars(Map.of(
                        "tools",
                        List.of(Map.of("type", "function", "function", Map.of("name", "f", "description", "123"))))))
                .isEqualTo(3);
        assertThat(PromptSize.chars(Map.of("images", List.of("aGVsbG8=")))).isZero();
    }
}
