package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the answers of models to a request for tags. */
class TagListTest {
    private static final List<String> CAT_AND_SOFA = List.of("cat", "red sofa");

    record Odd(String answer, List<String> tags) {}

    static Stream<Odd> answers() {
        return Stream.of(
                new Odd("{\"tags\": [\"cat\", \"red sofa\"]}", CAT_AND_SOFA),
                new Odd("[\"cat\",\"red sofa\",\"Cat\"]", CAT_AND_SOFA),
                new Odd("```json\n{\"tags\": [\"cat\", \"red sofa\"]}\n```", CAT_AND_SOFA),
                new Odd("Here you go:\n```\n[\"cat\", \"red sofa\"]\n```\nAnything else?", CAT_AND_SOFA),
                new Odd("Sure! {\"tags\": [\"cat\", \"red sofa\"]} Hope this helps.", CAT_AND_SOFA),
                new Odd("The tags are [\"cat\", \"red sofa\"].", CAT_AND_SOFA),
                new Odd("{\"labels\": [\"cat\", \"red sofa\"]}", CAT_AND_SOFA),
                new Odd("{\"tags\": \"cat, red sofa\"}", CAT_AND_SOFA),
                new Odd("[{\"tag\":\"cat\",\"confidence\":0.9},{\"tag\":\"red sofa\"}]", CAT_AND_SOFA),
                new Odd("1. cat\n2. red sofa", CAT_AND_SOFA),
                new Odd("Tags:\n\n1) **Cat** - it lies there\n2) **Red sofa**: it is red", List.of("Cat", "Red sofa")),
                new Odd("- cat\n- red sofa\n", CAT_AND_SOFA),
                new Odd("* cat\n• red sofa", CAT_AND_SOFA),
                new Odd("cat, red sofa", CAT_AND_SOFA),
                new Odd("Tags: cat, red sofa.", CAT_AND_SOFA),
                new Odd("The image shows a cat. Nice!\n\n**Keywords:** cat, red sofa", CAT_AND_SOFA),
                new Odd("#cat #sofa", List.of("cat", "sofa")),
                new Odd("cat\nred sofa\n", CAT_AND_SOFA),
                new Odd("<think>It may be a dog, or a cat.</think>\n[\"cat\", \"red sofa\"]", CAT_AND_SOFA),
                new Odd("\"cat\", \"red sofa\", and \"window\"", List.of("cat", "red sofa", "window")),
                new Odd("{\"tags\": []}", List.of()),
                new Odd("cat", List.of("cat")));
    }

    @ParameterizedTest
    @MethodSource("answers")
    void an_odd_answer_is_a_list(Odd odd) {
        assertThat(TagList.of(odd.answer())).as(odd.answer()).contains(odd.tags());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "   ",
                "I am sorry, but as a language model I am not able to see the image that you speak of, or any other.",
                "A cat lies on a sofa. The sofa is red.",
                "{\"tags\": [\"cat\", \"red so",
                "{\"description\": \"a cat\"}",
                "[1, {\"what\": true}]",
                "null",
                "The image shows a very large and very old cat which lies, as cats do, upon a sofa of an unclear colour"
            })
    void what_is_no_list_is_none(String answer) {
        assertThat(TagList.of(answer)).as(answer).isEmpty();
    }
}
