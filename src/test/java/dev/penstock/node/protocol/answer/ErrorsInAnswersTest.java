package dev.penstock.node.protocol.answer;

import static dev.penstock.node.protocol.answer.AnswerRig.anthropic;
import static dev.penstock.node.protocol.answer.AnswerRig.document;
import static dev.penstock.node.protocol.answer.AnswerRig.failure;
import static dev.penstock.node.protocol.answer.AnswerRig.ollama;
import static dev.penstock.node.protocol.answer.AnswerRig.openAi;
import static dev.penstock.node.protocol.answer.AnswerRig.quoted;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A server's error becomes the failure, whatever its form and status. */
class ErrorsInAnswersTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{'error':{'message':'no words','code':400}}|INVALID_REQUEST",
                "{'error':{'message':'no words','type':'overloaded_error'}}|NODE_OVERLOADED",
                "{'error':'no words'}|NODE_ERROR",
                "{'object':'error','message':'no words','type':'BadRequestError','code':400}|INVALID_REQUEST",
                "{'detail':'no words'}|NODE_ERROR",
                "{'detail':[{'loc':['body'],'msg':'no words'}]}|NODE_ERROR",
                "{'message':'no words','code':'503'}|NODE_OVERLOADED",
                "{'errors':[{'message':'no words'}]}|NODE_ERROR",
                "[{'error':{'code':429,'message':'no words','status':'RESOURCE_EXHAUSTED'}}]|NODE_OVERLOADED",
                "{'error':'{\\\"error\\\":{\\\"message\\\":\\\"no words\\\"}}'}|NODE_ERROR",
                "{'error':{'message':'maximum context length is 10, no words'}}|CONTEXT_LENGTH_EXCEEDED",
                "{'error':{'message':'{\\\"error\\\":{\\\"code\\\":\\\"context_length_exceeded\\\",\\\"message\\\":\\\"no words\\\"}}'}}|CONTEXT_LENGTH_EXCEEDED",
                "{'error':{'code':'context_length_exceeded','message':'no words'}}|CONTEXT_LENGTH_EXCEEDED",
                "{'object':'error','code':400,'message':'prompt exceeds the context window, no words'}|CONTEXT_LENGTH_EXCEEDED"
            })
    void a_servers_own_words_at_status_200_are_the_failure(String document, JobFailure.Code code) {
        String json = quoted(document);
        for (String body : List.of(
                json,
                "data: " + json + "\n\n",
                "event: error\ndata: " + json + "\n\n",
                json.replaceFirst("\\{", "{\n "))) {
            JobFailure failure = failure(openAi(body));
            assertThat(failure.message()).as(body).contains("no words");
            assertThat(failure.code()).as("%s: %s", body, failure).isEqualTo(code);
        }
        if (!json.startsWith("[")) {
            assertThat(failure(ollama(json)).message()).contains("no words");
            assertThat(failure(anthropic("data: " + json + "\n\n")).message()).contains("no words");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "event: error\ndata: upstream is gone\n\n",
                "error: {\"code\":500,\"message\":\"upstream is gone\"}\n\n",
                "upstream is gone\n",
                "event: error\ndata: {\"message\":\"upstream is gone\"}\n\n"
            })
    void words_outside_of_json_are_the_failure_too(String body) {
        assertThat(failure(openAi(body)).message()).contains("upstream is gone");
    }

    @ParameterizedTest
    @CsvSource({"200", "400", "413", "422", "500", "503"})
    void a_context_that_overflows_is_known_by_its_code_at_every_status(int status) {
        String body = "{\"error\":{\"message\":\"Too much.\",\"code\":\"context_length_exceeded\"}}";
        assertThat(ServerErrors.meaning(status, body, null)).isInstanceOf(ServerErrors.Meaning.PromptTooLong.class);
    }
}
