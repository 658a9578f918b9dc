package dev.penstock.job;

import org.jspecify.annotations.Nullable;

/** What a model server says in its stream, the same for every wire protocol. */
public sealed interface TokenEvent {

    /** The field of the answer that a piece of text belongs to. */
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

    /** Which model it is, where the server says so; comes before all that it says. */
    record Model(String name) implements TokenEvent {}

    /** The server has begun to speak; comes once a choice, before its text. An answer is the assistant's, whatever role it says. */
    record Role(int choice) implements TokenEvent {
        public String role() {
            return "assistant";
        }
    }

    /** A piece of text; a server may put many tokens into one. */
    record Text(int choice, Field field, String text) implements TokenEvent {}

    /** A piece of a tool call; id and name come with the first piece of each. */
    record ToolCall(
            int choice,
            int index,
            @Nullable String id,
            @Nullable String name,
            String arguments) implements TokenEvent {}

    /** A piece of reasoning with its server's signature, as that server's JSON value: it wants it back as it is. */
    record Thinking(int choice, Object block) implements TokenEvent {}

    /** Log probabilities of the tokens just said, as the server's JSON value. */
    record Logprobs(int choice, Object value) implements TokenEvent {}

    /**
     * The embedding of one input, whole.
     *
     * @param index of the input, over all batches
     * @param value a JSON array of numbers, or base64 text, as the job asked for it
     */
    record Embedding(int index, Object value) implements TokenEvent {}

    /** A choice is finished: stop, length, tool_calls or content_filter. */
    record Finish(int choice, String reason) implements TokenEvent {}

    record Spent(Usage usage) implements TokenEvent {}

    /** The server's end mark: the stream is complete. */
    record End() implements TokenEvent {}

    /** The server, or the way to it, failed. */
    record Broken(JobFailure failure) implements TokenEvent {}
}
