package dev.penstock.api.direct;

import dev.penstock.direct.DirectCall;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jboss.logging.Logger;

/** Writes the answer of a direct call piece by piece, each at once. The thread of the HTTP call owns it. */
final class AnswerStream {
    private static final Logger LOG = Logger.getLogger(AnswerStream.class);

    private final DirectCall call;
    private final AnswerFormat format;
    private final OutputStream out;
    private boolean begun;

    AnswerStream(DirectCall call, AnswerFormat format, OutputStream out) {
        this.call = call;
        this.format = format;
        this.out = out;
    }

    /**
     * Writes the answer to its end. If the caller leaves, the call ends.
     *
     * @param first what the call gave first
     */
    void write(DirectCall.Next first) {
        try {
            DirectCall.Next next = first;
            while (writeOne(next)) {
                next = call.next();
            }
        } catch (IOException _) {
            // the caller has left
            call.leave();
        } catch (InterruptedException _) {
            call.leave();
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            LOG.error("the answer of a direct call could not be written", e);
            // the caller must not take the answer for a complete one
            call.cut();
        }
    }

    /** @return whether more follows */
    private boolean writeOne(DirectCall.Next next) throws IOException {
        return switch (next) {
            case DirectCall.Next.Piece(Answer.Head head, List<TokenEvent> deltas) -> {
                send(beginning(head) + format.piece(head, deltas));
                yield true;
            }
            case DirectCall.Next.Completed(Answer answer) -> {
                send(beginning(answer.head()) + format.end(answer));
                yield false;
            }
            case DirectCall.Next.Failed(JobFailure failure) -> {
                send(format.broken(failure));
                yield false;
            }
            case DirectCall.Next.Left() -> false;
        };
    }

    private String beginning(Answer.Head head) {
        if (begun) {
            return "";
        }
        begun = true;
        return format.begin(head);
    }

    private void send(String text) throws IOException {
        if (!text.isEmpty()) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
            out.flush();
        }
    }
}
