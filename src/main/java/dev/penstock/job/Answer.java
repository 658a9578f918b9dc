package dev.penstock.job;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The whole answer of an attempt: the sum of its valid chunks, by choice and field.
 *
 * @param head the fields that each chunk has too
 * @param embeddings the embeddings in the order of the inputs; empty for other tasks
 * @param scores the scores of a ranking, the most relevant document first, or the scores of pairs in the order of the
 *     pairs; empty for other tasks
 */
public record Answer(Head head, List<Choice> choices, List<Object> embeddings, List<Score> scores, Usage usage) {

    /**
     * The fields that the chunks and the whole answer have in common.
     *
     * @param id the id of the OpenAI object
     * @param created seconds since the epoch
     */
    public record Head(String id, long created, String model, Task task) {
        /** Returns this head with the name of the model that ran. */
        public Head by(String name) {
            return new Head(id, created, name, task);
        }
    }

    /**
     * @param role the role of a message's author; only chat messages have one
     * @param thinking the signed pieces of the reasoning
     * @param stopSequence the stop string that ended the choice, if the server reports it
     */
    public record Choice(
            int index,
            String role,
            Map<TokenEvent.Field, String> text,
            List<ToolCall> toolCalls,
            List<Object> thinking,
            List<Object> logprobs,
            @Nullable String finishReason,
            @Nullable String stopSequence) {}

    public record ToolCall(String id, String name, String arguments) {}

    /**
     * A score.
     *
     * @param index the index of the document in the request, or of the pair of texts
     * @param value the model's own number, the higher the more relevant; a finite number
     * @param document the text of the document; null if the request does not ask for it, and for pairs
     */
    public record Score(int index, double value, @Nullable String document) {
        public Score {
            if (index < 0 || !Double.isFinite(value)) {
                throw new IllegalArgumentException("no score: " + index + ", " + value);
            }
        }
    }

    public Answer {
        choices = List.copyOf(choices);
        embeddings = List.copyOf(embeddings);
        scores = List.copyOf(scores);
    }

    /** Creates an answer without scores. */
    public Answer(Head head, List<Choice> choices, List<Object> embeddings, Usage usage) {
        this(head, choices, embeddings, List.of(), usage);
    }

    /** Returns whether the answer has results that chunks cannot carry. */
    public boolean hasResults() {
        return !embeddings.isEmpty() || !scores.isEmpty();
    }

    /** Returns this answer with other usage. */
    public Answer with(Usage other) {
        return new Answer(head, choices, embeddings, scores, other);
    }

    /** Returns the number of characters of text, in all choices and fields. */
    public long chars() {
        long chars = 0;
        for (Choice choice : choices) {
            for (String text : choice.text().values()) {
                chars += text.length();
            }
            for (ToolCall call : choice.toolCalls()) {
                chars += call.arguments().length();
            }
            for (Object block : choice.thinking()) {
                chars += String.valueOf(block).length();
            }
        }
        return chars;
    }

    /** Returns this answer without its text. It keeps the finish reasons and the usage. */
    public Answer withoutText() {
        return new Answer(
                head,
                choices.stream()
                        .map(choice -> new Choice(
                                choice.index(),
                                choice.role(),
                                Map.of(),
                                List.of(),
                                List.of(),
                                List.of(),
                                choice.finishReason(),
                                choice.stopSequence()))
                        .toList(),
                embeddings,
                scores,
                usage);
    }

    /** Converts the whole answer to deltas, as chunks have them. */
    public List<TokenEvent> asDeltas() {
        List<TokenEvent> deltas = new ArrayList<>();
        for (Choice choice : choices) {
            choice.text().forEach((field, text) -> deltas.add(new TokenEvent.Text(choice.index(), field, text)));
            for (int i = 0; i < choice.toolCalls().size(); i++) {
                ToolCall call = choice.toolCalls().get(i);
                deltas.add(new TokenEvent.ToolCall(choice.index(), i, call.id(), call.name(), call.arguments()));
            }
            choice.thinking().forEach(block -> deltas.add(new TokenEvent.Thinking(choice.index(), block)));
            choice.logprobs().forEach(value -> deltas.add(new TokenEvent.Logprobs(choice.index(), value)));
            if (choice.finishReason() != null) {
                deltas.add(new TokenEvent.Finish(choice.index(), choice.finishReason(), choice.stopSequence()));
            }
        }
        return deltas;
    }

    /** Builds an answer from the events of one stream. Not thread-safe: the thread of the run owns it. */
    public static final class Builder {
        private final Map<Integer, ChoiceBuilder> choices = new TreeMap<>();
        private final Map<Integer, Object> embeddings = new TreeMap<>();
        private final List<Score> scores = new ArrayList<>();
        private Usage usage = Usage.NONE;

        public void add(TokenEvent event) {
            switch (event) {
                case TokenEvent.Role role -> choice(role.choice()).role = role.role();
                case TokenEvent.Embedding(int index, Object value) -> embeddings.put(index, value);
                case TokenEvent.Scored(Score score) -> scores.add(score);
                case TokenEvent.Text text ->
                    choice(text.choice())
                            .text
                            .computeIfAbsent(text.field(), _ -> new StringBuilder())
                            .append(text.text());
                case TokenEvent.ToolCall call -> choice(call.choice()).add(call);
                case TokenEvent.Thinking(int index, Object block) ->
                    choice(index).thinking.add(block);
                case TokenEvent.Logprobs logprobs ->
                    choice(logprobs.choice()).logprobs.add(logprobs.value());
                case TokenEvent.Finish finish -> choice(finish.choice()).finish(finish);
                case TokenEvent.Spent spent -> usage = spent.usage().after(usage);
                case TokenEvent.Model _, TokenEvent.End _, TokenEvent.Broken _ -> {}
            }
        }

        public Answer build(Head head) {
            if (head.task().answersInText()) {
                choice(0);
            }
            return new Answer(
                    head,
                    choices.entrySet().stream()
                            .map(entry -> entry.getValue().build(entry.getKey()))
                            .toList(),
                    List.copyOf(embeddings.values()),
                    scores,
                    usage);
        }

        private ChoiceBuilder choice(int index) {
            return choices.computeIfAbsent(index, _ -> new ChoiceBuilder());
        }
    }

    private static final class ChoiceBuilder {
        private final Map<TokenEvent.Field, StringBuilder> text = new EnumMap<>(TokenEvent.Field.class);
        private final Map<Integer, ToolCallBuilder> toolCalls = new TreeMap<>();
        private final List<Object> thinking = new ArrayList<>();
        private final List<Object> logprobs = new ArrayList<>();
        private String role = "assistant";
        private @Nullable String finishReason;
        private @Nullable String stopSequence;

        void finish(TokenEvent.Finish finish) {
            finishReason = finish.reason();
            stopSequence = finish.stopSequence();
        }

        void add(TokenEvent.ToolCall piece) {
            ToolCallBuilder call = toolCalls.computeIfAbsent(piece.index(), _ -> new ToolCallBuilder());
            if (piece.id() != null) {
                call.id = piece.id();
            }
            if (piece.name() != null) {
                call.name += piece.name();
            }
            call.arguments.append(piece.arguments());
        }

        Choice build(int index) {
            Map<TokenEvent.Field, String> whole = new EnumMap<>(TokenEvent.Field.class);
            text.forEach((field, pieces) -> whole.put(field, pieces.toString()));
            return new Choice(
                    index,
                    role,
                    whole,
                    toolCalls.values().stream()
                            .map(call -> new ToolCall(call.id, call.name, call.arguments.toString()))
                            .toList(),
                    List.copyOf(thinking),
                    List.copyOf(logprobs),
                    finishReason,
                    stopSequence);
        }
    }

    private static final class ToolCallBuilder {
        private String id = "";
        private String name = "";
        private final StringBuilder arguments = new StringBuilder();
    }
}
