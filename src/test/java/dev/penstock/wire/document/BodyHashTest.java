package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BodyHashTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"a\":1,\"b\":[true,null]}|{ \"b\" : [true, null], \"a\" : 1.0 }",
                "{\"a\":100}|{\"a\":1e2}",
                "{\"a\":0}|{\"a\":-0.0}",
                "{\"a\":100e9999}|{ \"a\":1000e9998}",
                "{\"a\":\"\\u00e9\"}|{\"a\":\"é\"}",
                "{\"prompt\":\"x\"}|{\"prompt\":\"x\",\"job\":{}}",
                "{\"prompt\":\"x\"}|{\"prompt\":\"x\",\"job\":{\"id\":\"a\",\"tenant\":\"acme\"}}",
                "{\"prompt\":\"x\",\"job\":{\"id\":\"a\",\"pool\":\"gpu\"}}|{\"job\":{\"pool\":\"gpu\",\"id\":\"b\"},\"prompt\":\"x\"}",
            })
    void the_same_job(String one, String other) {
        assertThat(hash(one)).isEqualTo(hash(other)).hasSize(32);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"a\":1}|{\"a\":\"1\"}",
                "{\"a\":1}|{\"a\":2}",
                "{\"a\":null}|{\"a\":\"null\"}",
                "{\"a\":true}|{\"a\":\"true\"}",
                "{\"a\":[1,2]}|{\"a\":[2,1]}",
                "{\"a\":[1,23]}|{\"a\":[12,3]}",
                "{\"a\":[[],[]]}|{\"a\":[[[]]]}",
                "{\"a\":\"b\",\"c\":\"d\"}|{\"a\":\"bc\",\"d\":\"\"}",
                "{\"prompt\":\"x\",\"job\":{\"pool\":\"gpu\"}}|{\"prompt\":\"x\",\"job\":{\"pool\":\"cpu\"}}",
                "{\"prompt\":\"x\",\"metadata\":{\"id\":\"a\"}}|{\"prompt\":\"x\",\"metadata\":{\"id\":\"b\"}}",
            })
    void another_job(String one, String other) {
        assertThat(hash(one)).isNotEqualTo(hash(other));
    }

    private static String hash(String document) {
        return BodyHash.of(document.getBytes(StandardCharsets.UTF_8));
    }
}
