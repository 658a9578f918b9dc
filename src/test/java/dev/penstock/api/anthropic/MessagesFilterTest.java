package dev.penstock.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.document.ErrorDocument;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MessagesFilterTest {
    @ParameterizedTest
    @CsvSource({
        "/v1/messages, true",
        "/v1/messages/count_tokens, true",
        "/v1/messages/batches, true",
        "/v1/messagesandmore, false",
        "/v1/jobs, false",
        "null, false"
    })
    void the_paths_of_anthropics_api_are_known(String path, boolean known) {
        assertThat(MessagesFilter.isOfMessages(path)).isEqualTo(known);
    }

    @Test
    void an_error_of_another_part_gets_anthropics_form_once() {
        JobFailure failure = JobFailure.of(JobFailure.Code.TOO_LARGE, "the body is too large");

        ObjectNode inForm = MessagesFilter.inForm(413, ErrorDocument.of(failure));

        assertThat(inForm).isEqualTo(AnthropicError.of(failure));
        assertThat(MessagesFilter.inForm(413, inForm)).isSameAs(inForm);
        assertThat(inForm.at("/error/type").asText()).isEqualTo("request_too_large");
        assertThat(inForm.at("/error/message").asText()).isEqualTo("the body is too large");
    }
}
