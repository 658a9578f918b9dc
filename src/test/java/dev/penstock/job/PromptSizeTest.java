package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PromptSizeTest {
    @Test
    void text_counts_in_characters_and_media_do_not_count() {
        assertThat(PromptSize.of(Map.of("prompt", "12345", "system", "123", "model", "llama")))
                .isEqualTo(new PromptSize(8, 0));
        assertThat(PromptSize.of(Map.of(
                        "messages",
                        List.of(
                                Map.of("role", "system", "content", "12"),
                                Map.of("role", "user", "content", "1", "images", List.of("aGVsbG8=")),
                                Map.of(
                                        "content",
                                        List.of(
                                                Map.of("text", "1234"),
                                                Map.of("image_url", Map.of("url", "data:x"))))))))
                .as("the roles count too")
                .isEqualTo(new PromptSize(6 + 2 + 4 + 1 + 4, 0));
        assertThat(PromptSize.of(Map.of("images", List.of("aGVsbG8=")))).isEqualTo(PromptSize.NONE);
    }

    @Test
    void token_numbers_count_exactly() {
        PromptSize size = PromptSize.of(Map.of("input", Arrays.asList("1", "22", null, 7)));

        assertThat(size).isEqualTo(new PromptSize(3, 1));
        assertThat(size.tokens(2)).isEqualTo(3);
        assertThat(size.minus(new PromptSize(0, 1)).tokens(2)).isEqualTo(2);
    }

    @Test
    void the_definitions_of_tools_count() {
        assertThat(PromptSize.of(Map.of(
                        "tools",
                        List.of(Map.of("type", "function", "function", Map.of("name", "f", "description", "123"))))))
                .isEqualTo(new PromptSize(12, 0));
    }

    @Test
    void a_model_reads_the_query_with_each_document() {
        assertThat(PromptSize.of(
                        Map.of("query", "12345", "documents", List.of("1", Map.of("text", "22"), "333"), "model", "m")))
                .isEqualTo(new PromptSize(3 * 5 + 6, 0));
        assertThat(PromptSize.of(Map.of("text_1", "12345", "text_2", "1"))).isEqualTo(new PromptSize(6, 0));
        assertThat(PromptSize.of(Map.of("text_1", List.of("12345"), "text_2", List.of("1", "2"))))
                .isEqualTo(new PromptSize(12, 0));
        assertThat(PromptSize.of(Map.of("text_1", List.of("1", "22"), "text_2", List.of("3", "44"))))
                .isEqualTo(new PromptSize(6, 0));
        assertThat(PromptSize.of(Map.of("prompt", "1", "query", "12345")))
                .as("a parameter of a completion")
                .isEqualTo(new PromptSize(1, 0));
    }
}
