package dev.penstock.api.direct;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.Task;
import dev.penstock.wire.InvalidField;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TaskBodyTest {
    private static String body(String json) throws InvalidField {
        return TaskBody.of(json.getBytes(StandardCharsets.UTF_8), Task.RERANK).toString();
    }

    @Test
    void the_path_decides_the_task_and_the_answer_comes_as_a_whole() throws Exception {
        assertThat(body("{\"query\":\"a\"}"))
                .isEqualTo("{\"query\":\"a\",\"stream\":false,\"job\":{\"task\":\"rerank\"}}");
        assertThat(body("{\"query\":\"a\",\"stream\":null,\"job\":null}"))
                .isEqualTo("{\"query\":\"a\",\"stream\":false,\"job\":{\"task\":\"rerank\"}}");
        assertThat(body("{\"stream\":false,\"job\":{\"task\":\"rerank\",\"node\":\"gpu-a\"}}"))
                .isEqualTo("{\"stream\":false,\"job\":{\"task\":\"rerank\",\"node\":\"gpu-a\"}}");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"query"                                | not valid JSON
            []                                      | $: expected a JSON object, got an array
            {"stream":true}                         | stream: the answer of this call comes as a whole
            {"stream":"yes"}                        | stream: expected a boolean, got a string
            {"job":7}                               | job: expected an object, got a number
            {"job":{"task":"score"}}                | job.task: 'score' does not fit this call
            {"job":{"task":"dance"}}                | job.task: 'dance' is none of chat
            {"job":{"task":7}}                      | job.task: expected a string, got a number
            """)
    void what_does_not_fit_is_refused_with_its_field(String json, String words) {
        assertThatThrownBy(() -> body(json))
                .isInstanceOfSatisfying(
                        InvalidField.class,
                        invalid -> assertThat(invalid.failure().message()).contains(words));
    }
}
