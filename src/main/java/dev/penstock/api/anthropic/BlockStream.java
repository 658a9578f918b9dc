package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns the events of an answer into content blocks. Anthropic's streams have one open block at a time. Some servers send
 * the pieces of several calls in turn. Then the first call is streamed, and the pieces of the others wait until its
 * arguments are complete. Not thread-safe.
 */
final class BlockStream {
    private final StreamEvents events;
    private List<TokenEvent> waiting = new ArrayList<>();
    private Open open = Open.NOTHING;
    private boolean hasThought;

    /** The call whose block is open, or was the last one that was. */
    private Call call = new Call(-1);

    private enum Open {
        NOTHING,
        TEXT,
        THINKING,
        CALL
    }

    private static final class Call {
        private final int index;
        private final StringBuilder arguments = new StringBuilder();
        private String id = "";
        private String name = "";
        private boolean started;

        Call(int index) {
            this.index = index;
        }

        boolean isComplete() {
            int last = arguments.length() - 1;
            return last > 0
                    && arguments.charAt(last) == '}'
                    && Json.parseLenient(arguments.toString()) instanceof ObjectNode;
        }
    }

    BlockStream(StreamEvents events) {
        this.events = events;
    }

    void add(TokenEvent event) {
        switch (event) {
            case TokenEvent.ToolCall piece
            when piece.choice() == 0 && isOfOpenCall(piece) -> {
                call(piece);
                if (!waiting.isEmpty() && call.isComplete()) {
                    addWaiting();
                }
            }
            case TokenEvent.Text text when text.choice() == 0 -> addOther(text);
            case TokenEvent.ToolCall piece when piece.choice() == 0 -> addOther(piece);
            case TokenEvent.Thinking thinking when thinking.choice() == 0 -> addOther(thinking);
            // a message has one choice, and its role, reason and usage come with other events
            case TokenEvent.Text _,
                    TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Model _,
                    TokenEvent.Role _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _,
                    TokenEvent.Scored _,
                    TokenEvent.Finish _,
                    TokenEvent.Spent _,
                    TokenEvent.End _,
                    TokenEvent.Broken _ -> {}
        }
    }

    /** Ends the last block. If calls are still waiting, each of them gets its block. */
    void end() {
        close();
        while (!waiting.isEmpty()) {
            addWaiting();
            close();
        }
    }

    private boolean isOfOpenCall(TokenEvent.ToolCall piece) {
        return open == Open.CALL && piece.index() == call.index;
    }

    private void addWaiting() {
        List<TokenEvent> now = waiting;
        waiting = new ArrayList<>();
        now.forEach(this::add);
    }

    /** Adds an event that does not belong to the open call. */
    private void addOther(TokenEvent event) {
        if (!waiting.isEmpty() || (open == Open.CALL && !call.isComplete())) {
            waiting.add(event);
            return;
        }
        switch (event) {
            case TokenEvent.Text(int _, TokenEvent.Field field, String text)
            when field == TokenEvent.Field.REASONING -> thinking(text);
            case TokenEvent.Text text -> text(text.text());
            case TokenEvent.ToolCall piece -> {
                close();
                call = new Call(piece.index());
                open = Open.CALL;
                call(piece);
            }
            case TokenEvent.Thinking thinking -> thought(MessageAnswer.thought(thinking.block()));
            default -> throw new IllegalArgumentException("no part of a message: " + event);
        }
    }

    private void text(String text) {
        if (open != Open.TEXT) {
            close();
            events.blockStart(StreamEvents.content("text").put("text", ""));
            open = Open.TEXT;
        }
        events.blockDelta("text_delta", "text", text);
    }

    private void thinking(String text) {
        if (open != Open.THINKING) {
            startThinking();
        }
        events.blockDelta("thinking_delta", "thinking", text);
        hasThought = true;
    }

    private void startThinking() {
        close();
        events.blockStart(StreamEvents.content("thinking").put("thinking", "").put("signature", ""));
        open = Open.THINKING;
    }

    /**
     * Writes a whole block of thinking. Usually its text has been streamed, and only the signature is new. A block
     * without text is one whose text the server does not show.
     */
    private void thought(@Nullable ObjectNode block) {
        if (block == null) {
            return;
        }
        if (!MessageAnswer.isThinking(block)) {
            close();
            events.blockStart(block);
            events.blockStop();
            return;
        }
        String text = block.path("thinking").asText();
        if (open != Open.THINKING) {
            if (hasThought && !text.isEmpty()) {
                // its text has been sent in a block that is closed
                return;
            }
            startThinking();
            if (!text.isEmpty()) {
                events.blockDelta("thinking_delta", "thinking", text);
                hasThought = true;
            }
        }
        events.blockDelta(
                "signature_delta", "signature", block.path("signature").asText());
        close();
    }

    /** Writes a piece of the open call. The block starts with the whole name, so it starts with the first arguments. */
    private void call(TokenEvent.ToolCall piece) {
        if (piece.id() != null) {
            call.id = piece.id();
        }
        if (piece.name() != null) {
            call.name += piece.name();
        }
        if (!piece.arguments().isEmpty()) {
            startCall();
            call.arguments.append(piece.arguments());
            events.blockDelta("input_json_delta", "partial_json", piece.arguments());
        }
    }

    private void startCall() {
        if (!call.started) {
            call.started = true;
            ObjectNode content =
                    StreamEvents.content("tool_use").put("id", call.id).put("name", call.name);
            content.putObject("input");
            events.blockStart(content);
        }
    }

    private void close() {
        switch (open) {
            case CALL -> {
                startCall();
                events.blockStop();
            }
            case TEXT, THINKING -> events.blockStop();
            case NOTHING -> {}
        }
        open = Open.NOTHING;
    }
}
