package dev.penstock.api.vision;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import jakarta.ws.rs.core.Response;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class SeenFormatTest {
    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-j", 7, "llava", Task.DESCRIBE);
    private SeenFormat format;
    private Answer answer;

    @BeforeEach
    void set() throws Exception {
        format = new SeenFormat(ImageRequest.ofJson(
                "{\"image\":\"https://a.example/b\"}".getBytes(StandardCharsets.UTF_8), Task.DESCRIBE));
        Answer.Builder builder = new Answer.Builder();
        builder.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "A cat."));
        builder.add(new TokenEvent.Spent(new Usage(9, 4)));
        answer = builder.build(HEAD);
    }

    private static String text(Object entity) {
        return new String((byte[]) entity, StandardCharsets.UTF_8);
    }

    @Test
    void the_document_has_the_node_of_the_response() {
        Response response = Response.ok(format.whole(answer))
                .header("x-penstock-node", "gpu-a")
                .header("x-request-id", "r")
                .build();

        Response named = format.withNode(response);

        assertThat(text(named.getEntity()))
                .startsWith("{\"description\":\"A cat.\",\"model\":\"llava\",\"node\":\"gpu-a\",\"usage\":{");
        assertThat(named.getStatus()).isEqualTo(200);
        assertThat(named.getHeaderString("x-request-id")).isEqualTo("r");
        assertThat(named.getHeaderString("x-penstock-node")).isEqualTo("gpu-a");
    }

    @Test
    void an_error_stays_as_it_is_and_names_the_image() {
        Response response = Response.status(400)
                .header("x-penstock-node", "gpu-a")
                .entity(format.error(JobFailure.invalid("images[0]", "expected a data: URL")))
                .build();

        assertThat(format.withNode(response)).isSameAs(response);
        assertThat(text(response.getEntity()))
                .isEqualTo(
                        "{\"error\":{\"message\":\"image: expected a data: URL\",\"type\":\"invalid_request_error\",\"param\":\"image\",\"code\":\"invalid_request\"}}");
    }

    @Test
    void nothing_is_streamed() {
        assertThatThrownBy(() -> format.begin(HEAD)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> format.end(answer)).isInstanceOf(IllegalStateException.class);
    }
}
