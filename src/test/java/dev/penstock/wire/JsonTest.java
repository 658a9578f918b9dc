package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.testkit.HostileBytes;
import dev.penstock.wire.document.BodyHash;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
    private static final int DOCUMENTS = Integer.getInteger("penstock.test.documents", 8_000);

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

    /** A document, and the expected message. */
    @ParameterizedTest
    @MethodSource("beyondLimits")
    void a_document_beyond_a_limit_is_refused_naming_the_field(String document, String field, String words) {
        Throwable refused = catchThrowable(() -> Json.parseStrict(document.getBytes(StandardCharsets.UTF_8)));

        assertThat(refused).isInstanceOf(Json.MalformedJson.class);
        JobFailure failure = ((Json.MalformedJson) refused).failure();
        assertThat(failure.param()).isEqualTo(field.isEmpty() ? null : field);
        assertThat(failure.message())
                .startsWith(field.isEmpty() ? words : field + ": " + words)
                .doesNotContainIgnoringCase("exception")
                .doesNotContain("StreamRead");
    }

    static Stream<Arguments> beyondLimits() {
        return Stream.of(
                Arguments.of("{\"z\":1e99999999999999999999}", "z", "a number has an exponent beyond 9999"),
                Arguments.of("{\"z\":[0,1e-2147483648]}", "z[1]", "a number has an exponent beyond 9999"),
                Arguments.of("1e10000", "", "a number has an exponent beyond 9999"),
                Arguments.of("{\"z\":" + "7".repeat(1_001) + "}", "z", "a number has more than 1000 digits"),
                Arguments.of("{\"z\":0." + "7".repeat(1_001) + "}", "z", "a number has more than 1000 digits"),
                Arguments.of(
                        "{\"z\":{\"" + "n".repeat(1_001) + "\":1}}",
                        "z",
                        "the name of a field has more than 1000 characters"),
                Arguments.of(
                        "{\"a\":{\"b\":" + "[".repeat(5_000) + "]".repeat(5_000) + "}}",
                        "a.b" + "[0]".repeat(32) + "[…",
                        "it is nested deeper than 200 levels"),
                Arguments.of(
                        "{\"z\":[" + "[],".repeat(600_000) + "0]}",
                        "z[499998]",
                        "it has more than 1,000,000 values and names"));
    }

    /** 8 MB of empty arrays use 140 MB of memory. */
    @Test
    void a_document_of_empty_arrays_is_no_document_and_one_of_numbers_is() {
        assertThat(Json.parseLenient("[" + "[],".repeat(2_700_000) + "0]")).isNull();
        assertThat(Json.parseLenient("[".repeat(1_001) + "]".repeat(1_001))).isNull();
        JsonNode vectors = Objects.requireNonNull(Json.parseVectors("[" + "0,".repeat(4_000_000) + "0]"));
        assertThat(vectors.size()).isEqualTo(4_000_001);
    }

    @Test
    void no_bytes_whatever_make_the_reader_throw_anything_else() {
        Random random = new Random(14);
        int refused = 0;
        for (int i = 0; i < DOCUMENTS; i++) {
            byte[] bytes = HostileBytes.document(random);
            try {
                assertThat(Json.parseStrict(bytes).toString()).isNotEmpty();
            } catch (Json.MalformedJson e) {
                refused++;
                assertThat(e.failure().message()).isNotBlank().doesNotContain("\n");
            }
            JsonNode lenient = Json.parseLenient(new String(bytes, StandardCharsets.UTF_8));
            assertThat(String.valueOf(lenient)).isNotNull();
            assertThat(Json.textAt(bytes, "job", "id")).isNotNull();
        }
        assertThat(refused).isBetween(DOCUMENTS / 10, DOCUMENTS - 40);
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
