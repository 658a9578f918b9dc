package dev.penstock.api.direct;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.direct.DirectCall;
import dev.penstock.direct.PlayedCalls;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class AnswerStreamTest {
    private final PlayedCalls calls = new PlayedCalls();

    /** Shows which methods were called. */
    private static final class Plain implements AnswerFormat {
        @Override
        public String streamType() {
            return "text/plain";
        }

        @Override
        public byte[] whole(Answer answer) {
            return new byte[0];
        }

        @Override
        public String begin(Answer.Head head) {
            return "<" + head.model() + ">";
        }

        @Override
        public String piece(Answer.Head head, List<TokenEvent> deltas) {
            StringBuilder text = new StringBuilder();
            deltas.forEach(delta -> text.append(delta instanceof TokenEvent.Text one ? one.text() : ""));
            return text.toString();
        }

        @Override
        public String end(Answer answer) {
            return "</" + answer.choices().size() + ">";
        }

        @Override
        public String broken(JobFailure failure) {
            return "!" + failure.code().wireName();
        }

        @Override
        public byte[] error(JobFailure failure) {
            return new byte[0];
        }
    }

    private static String written(DirectCall call) throws InterruptedException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        new AnswerStream(call, new Plain(), out).write(call.next());
        return out.toString(StandardCharsets.UTF_8);
    }

    @Test
    void a_stream_has_a_beginning_its_pieces_and_an_end() throws InterruptedException {
        calls.answers("Hello");

        assertThat(written(calls.start())).isEqualTo("<llama>Hello</1>");
    }

    @Test
    void an_answer_without_text_has_a_beginning_too() throws InterruptedException {
        calls.answersNothing();

        assertThat(written(calls.start())).isEqualTo("<llama></1>");
    }

    @Test
    void a_failure_after_the_first_piece_ends_the_stream() throws InterruptedException {
        calls.breaks("Hel");

        assertThat(written(calls.start())).isEqualTo("<llama>Hel!too_large");
    }

    @Test
    void a_connection_that_is_gone_ends_the_call() throws InterruptedException {
        DirectCall call = calls.start();
        calls.says("Hel");
        OutputStream gone = new OutputStream() {
            @Override
            public void write(int one) throws IOException {
                throw new IOException("closed");
            }
        };

        new AnswerStream(call, new Plain(), gone).write(call.next());

        assertThat(call.next()).isEqualTo(new DirectCall.Next.Left());
        calls.awaitClosed();
    }
}
