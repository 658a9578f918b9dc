package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.direct.AnswerFormat;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.util.List;

/** Writes answers as Anthropic's messages API does: a message, or the events of a stream. */
final class AnthropicFormat implements AnswerFormat {
    private final StreamEvents events = new StreamEvents();
    private final BlockStream blocks = new BlockStream(events);

    @Override
    public String streamType() {
        return "text/event-stream";
    }

    @Override
    public byte[] whole(Answer answer) {
        return Json.bytes(MessageAnswer.whole(answer));
    }

    @Override
    public String begin(Answer.Head head) {
        events.begin(head);
        return events.take();
    }

    @Override
    public String piece(Answer.Head head, List<TokenEvent> deltas) {
        events.begin(head);
        deltas.forEach(blocks::add);
        return events.take();
    }

    @Override
    public String end(Answer answer) {
        events.begin(answer.head());
        blocks.end();
        ObjectNode delta = Json.mapper().createObjectNode();
        MessageAnswer.stop(answer.choices().getFirst(), delta);
        events.end(delta, MessageAnswer.usage(answer.usage()));
        return events.take();
    }

    @Override
    public String broken(JobFailure failure) {
        events.broken(failure);
        return events.take();
    }

    @Override
    public byte[] error(JobFailure failure) {
        return Json.bytes(AnthropicError.of(failure));
    }
}
