package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "0.1234567890123456789",
                "1.10",
                "1.0",
                "100.00",
                "1e400",
                "1E+400",
                "1e-400",
                "-0",
                "-0.0",
                "0.00",
                "0e0",
                "1e5",
                "1.50E-7",
                "0.00000001",
                "-0.0000000123400",
                "12345678901234567890123456789",
                "9007199254740993",
                "-17",
                "0"
            })
    void a_number_keeps_its_digits(String digits) throws Exception {
        String document = "{\"a\":[" + digits + "],\"b\":{\"c\":" + digits + "}}";

        JsonNode lenient = Objects.requireNonNull(Json.parseLenient(document));
        JsonNode strict = Json.parseStrict(document.getBytes(StandardCharsets.UTF_8));
        Map<String, Object> plain = Json.mapper().convertValue(strict, new TypeReference<>() {});

        for (Object each : List.of(lenient, strict, plain, Json.mapper().valueToTree(plain))) {
            assertThat(new String(Json.bytes(each), StandardCharsets.UTF_8)).isEqualTo(document);
        }
        assertThat(lenient.toString()).isEqualTo(document);
    }

    @Test
    void the_same_number_in_other_words_is_the_same_job() {
        assertThat(BodyHash.of("{\"a\":1.10,\"b\":-0,\"c\":1e2}".getBytes(StandardCharsets.UTF_8)))
                .isEqualTo(BodyHash.of("{\"a\":1.1,\"b\":0,\"c\":100.0}".getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void what_follows_the_value_is_refused() {
        assertThat(Json.parseLenient("")).isNull();
        assertThat(Json.parseLenient("no")).isNull();
        assertThat(catchThrowable(() -> Json.parseStrict("{} {}".getBytes(StandardCharsets.UTF_8))))
                .isInstanceOf(Json.MalformedJson.class);
        assertThat(catchThrowable(() -> Json.parseStrict("{\"a\":1,\"a\":2}".getBytes(StandardCharsets.UTF_8))))
                .isInstanceOf(Json.MalformedJson.class);
    }
}
