package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.util.RawValue;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LargeObjectTest {
    private static final List<String> NAMES = List.of("job", "a\"b:c\\\\", "choices", "ключ", "\uD83D\uDE00", "");

    @Test
    void fields_are_found_and_left_out_wherever_they_lie() {
        Random random = new Random(14);
        for (int i = 0; i < 300; i++) {
            ObjectNode tree = Json.mapper().createObjectNode();
            for (String name : NAMES) {
                if (random.nextInt(4) > 0) {
                    tree.set(name, value(random, i % 3 == 0 ? 20_000 : 20));
                }
            }
            String text = random.nextBoolean() ? tree.toPrettyString() : tree.toString();

            LargeObject object = Objects.requireNonNull(LargeObject.of(text));

            for (String name : NAMES) {
                assertThat(object.has(name)).isEqualTo(tree.has(name));
                assertThat(object.path(name)).as(text).isEqualTo(read(tree.path(name)));
                ObjectNode left = tree.deepCopy();
                left.remove(name);
                assertThat(Json.parseVectors(object.without(Set.of(name)))).isEqualTo(read(left));
            }
        }
    }

    private static JsonNode value(Random random, int size) {
        return switch (random.nextInt(5)) {
            case 0 -> Json.mapper().getNodeFactory().textNode("\uD83D\uDE00\\\"}{,: é".repeat(random.nextInt(size)));
            case 1 ->
                Json.mapper().createArrayNode().add(1.5).add(random.nextInt()).addNull();
            case 2 -> Json.mapper().createObjectNode().put("job", "{\"job\":1}").put("x", random.nextLong());
            case 3 -> Json.mapper().getNodeFactory().numberNode(random.nextInt());
            default -> Json.mapper().getNodeFactory().nullNode();
        };
    }

    private static JsonNode read(JsonNode node) {
        return node.isMissingNode() ? node : Objects.requireNonNull(Json.parseVectors(node.toString()));
    }

    /** Among them a pair of surrogates that lies across what the writer takes at once. */
    @Test
    void what_is_left_is_written_as_it_is() {
        for (int before = 0; before < 4; before++) {
            String text = "{\"job\":1,\"x\":\"" + "a".repeat(before) + "\uD83D\uDE00".repeat(10_000) + "\",\"n\":1.10}";
            ObjectNode document = Json.mapper().createObjectNode();

            document.putRawValue(
                    "raw",
                    new RawValue(Objects.requireNonNull(LargeObject.of(text)).without(Set.of("job"))));

            assertThat(new String(Json.bytes(document), StandardCharsets.UTF_8))
                    .isEqualTo("{\"raw\":" + text.replace("\"job\":1,", "") + "}");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "{", "{\"a\"", "{\"a\":}", "{\"a\":1,}", "{\"a\":1}x", "{\"a\":1}{}", "[1", "x"})
    void what_is_no_json_is_none(String text) {
        assertThat(LargeObject.of(text)).isNull();
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "\"x\"", "null", "[{\"job\":1}]", "{}", " { } "})
    void what_has_no_fields_has_none(String text) {
        LargeObject object = Objects.requireNonNull(LargeObject.of(text));

        assertThat(object.has("job")).isFalse();
        assertThat(object.path("job").isMissingNode()).isTrue();
    }
}
