package dev.penstock.job;

import org.jspecify.annotations.Nullable;

/** An event of a model server's answer. Events have the same form for every wire protocol. */
public sealed interface TokenEvent {
    /**
     * Returns how much this event counts towards the size of a chunk, in characters. A piece of a tool call counts one
     * more than its text. Reasoning counts 1 here, because its text was counted before.
     */
    default int chars() {
        return switch (this) {
            case Text text -> text.text().length();
            case ToolCall call -> call.arguments().length() + 1;
            case Thinking _ -> 1;
            case Model _, Role _, Logprobs _, Embedding _, Scored _, Finish _, Spent _, End _, Broken _ -> 0;
        };
    }

    /** The field of the answer to which a piece of text belongs. */
    enum Field {
        CONTENT("content"),
        REASONING("reasoning"),
        REFUSAL("refusal");

        private final String wireName;

        Field(String wireName) {
            this.wireName = wireName;
        }

        public String wireName() {
            return wireName;
        }
    }

    /** The model that answers, if the server reports it. This event comes before all others. */
    record Model(String name) implements TokenEvent {}

    /**
     * The server has begun to answer. This event comes once per choice, before the text. The role is always the
     * assistant's, whatever role the server reports.
     */
    record Role(int choice) implements TokenEvent {
        public String role() {
            return "assistant";
        }
    }

    /** A piece of text. A server may put many tokens into one piece. */
    record Text(int choice, Field field, String text) implements TokenEvent {}

    /** A piece of a tool call. The first piece of each call has the id and the name. */
    record ToolCall(
            int choice,
            int index,
            @Nullable String id,
            @Nullable String name,
            String arguments) implements TokenEvent {}

    /**
     * A piece of reasoning: the server's JSON value, which includes the server's signature. The server expects a
     * later request to repeat it unchanged.
     */
    record Thinking(int choice, Object block) implements TokenEvent {}

    /** Log probabilities of the latest tokens, as the server's JSON value. */
    record Logprobs(int choice, Object value) implements TokenEvent {}

    /**
     * The whole embedding of one input.
     *
     * @param index the input's index, counted over all batches
     * @param value a JSON array of numbers, or base64 text, as the job requested it
     */
    record Embedding(int index, Object value) implements TokenEvent {}

    /** One score of a ranking, or of a comparison of texts. The scores come in the order of the answer. */
    record Scored(Answer.Score score) implements TokenEvent {}

    /**
     * A choice is finished. The reason is stop, length, tool_calls or content_filter.
     *
     * @param stopSequence the stop string that ended the choice; null if there is none, or if the server does not report
     *     it
     */
    record Finish(int choice, String reason, @Nullable String stopSequence) implements TokenEvent {
        public Finish(int choice, String reason) {
            this(choice, reason, null);
        }
    }

    record Spent(Usage usage) implements TokenEvent {}

    /** The server's end mark: the stream is complete. */
    record End() implements TokenEvent {}

    /** The server failed, or the connection to it failed. */
    record Broken(JobFailure failure) implements TokenEvent {}
}
