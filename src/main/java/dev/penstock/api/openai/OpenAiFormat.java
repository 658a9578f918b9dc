package dev.penstock.api.openai;

import dev.penstock.api.direct.AnswerFormat;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.ErrorDocument;
import dev.penstock.wire.document.EventDocument;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;

/**
 * Writes answers exactly as OpenAI does. Each chunk has one choice. The first chunk of a chat's choice has the role, and
 * the last one the reason for its end.
 */
final class OpenAiFormat implements AnswerFormat {
    private static final String DONE = "data: [DONE]\n\n";
    /** The reason for the end of an answer whose server gave none. */
    private static final String STOP = "stop";

    private final boolean includesUsage;
    /** The choices that have their first chunk. */
    private final Set<Integer> begun = new HashSet<>();

    /** @param includesUsage whether a stream ends with a chunk that has the usage */
    OpenAiFormat(boolean includesUsage) {
        this.includesUsage = includesUsage;
    }

    @Override
    public String streamType() {
        return "text/event-stream";
    }

    @Override
    public byte[] whole(Answer answer) {
        return EventDocument.answer(answer);
    }

    @Override
    public String begin(Answer.Head head) {
        return "";
    }

    @Override
    public String piece(Answer.Head head, List<TokenEvent> deltas) {
        Map<Integer, List<TokenEvent>> choices = new TreeMap<>();
        for (TokenEvent delta : deltas) {
            switch (delta) {
                case TokenEvent.Text text -> add(choices, text.choice(), delta);
                case TokenEvent.ToolCall call -> add(choices, call.choice(), delta);
                case TokenEvent.Thinking thinking -> add(choices, thinking.choice(), delta);
                case TokenEvent.Logprobs logprobs -> add(choices, logprobs.choice(), delta);
                // written by this class, each once
                case TokenEvent.Role _, TokenEvent.Finish _ -> {}
                case TokenEvent.Model _,
                        TokenEvent.Embedding _,
                        TokenEvent.Scored _,
                        TokenEvent.Spent _,
                        TokenEvent.End _,
                        TokenEvent.Broken _ -> {}
            }
        }
        StringBuilder text = new StringBuilder();
        choices.forEach((choice, some) -> text.append(chunk(head, choice, some)));
        return text.toString();
    }

    private static void add(Map<Integer, List<TokenEvent>> choices, int choice, TokenEvent delta) {
        choices.computeIfAbsent(choice, _ -> new ArrayList<>()).add(delta);
    }

    private String chunk(Answer.Head head, int choice, List<TokenEvent> deltas) {
        List<TokenEvent> all = new ArrayList<>();
        if (begun.add(choice) && head.task().answersInChat()) {
            all.add(new TokenEvent.Role(choice));
        }
        all.addAll(deltas);
        return event(EventDocument.chunk(head, all));
    }

    @Override
    public String end(Answer answer) {
        StringBuilder text = new StringBuilder();
        for (Answer.Choice choice : answer.choices()) {
            String reason = Objects.requireNonNullElse(choice.finishReason(), STOP);
            text.append(chunk(answer.head(), choice.index(), List.of(new TokenEvent.Finish(choice.index(), reason))));
        }
        if (includesUsage) {
            text.append(event(EventDocument.usageChunk(answer.head(), answer.usage())));
        }
        return text.append(DONE).toString();
    }

    @Override
    public String broken(JobFailure failure) {
        return event(error(failure));
    }

    @Override
    public byte[] error(JobFailure failure) {
        return Json.bytes(ErrorDocument.of(failure));
    }

    private static String event(byte[] document) {
        return "data: " + new String(document, StandardCharsets.UTF_8) + "\n\n";
    }
}
