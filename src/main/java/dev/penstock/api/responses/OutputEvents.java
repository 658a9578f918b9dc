package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns the deltas of an answer into the output items of a response, and logs the events of these items. A message and
 * reasoning are closed when another item begins. A call is closed when another item begins and its arguments are
 * complete. Only the first choice counts. Not thread-safe: the thread of the stream owns it.
 */
final class OutputEvents {
    private static final ArrayNode NONE = Json.mapper().createArrayNode();

    private final String base;
    private final OutputItem.PartType reasoning;
    private final EventLog log;
    private final List<OutputItem> items = new ArrayList<>();
    private @Nullable OutputItem current;
    private @Nullable String finishReason;

    /** @param head the response that gets the items */
    OutputEvents(ResponseHead head, EventLog log) {
        base = head.base();
        reasoning = head.wantsSummary() ? OutputItem.PartType.SUMMARY_TEXT : OutputItem.PartType.REASONING_TEXT;
        this.log = log;
    }

    /** Returns the output of a whole answer. */
    static OutputEvents of(ResponseHead head, List<TokenEvent> answer) {
        OutputEvents output = new OutputEvents(head, new EventLog());
        output.add(answer);
        output.finish();
        return output;
    }

    /** Converts a whole answer to deltas, in the order in which a stream has them: the reasoning comes first. */
    static List<TokenEvent> deltas(Answer answer) {
        return inOrder(answer.asDeltas());
    }

    /** Puts the reasoning before the content, and both before the calls. A chunk keeps no order between fields. */
    static List<TokenEvent> inOrder(List<TokenEvent> merged) {
        List<TokenEvent> ordered = new ArrayList<>();
        for (TokenEvent.Field field :
                List.of(TokenEvent.Field.REASONING, TokenEvent.Field.CONTENT, TokenEvent.Field.REFUSAL)) {
            merged.stream()
                    .filter(delta -> delta instanceof TokenEvent.Text text && text.field() == field)
                    .forEach(ordered::add);
        }
        merged.stream().filter(delta -> !(delta instanceof TokenEvent.Text)).forEach(ordered::add);
        return ordered;
    }

    /** Takes the next deltas, in their order. Adjacent texts of the same field become one event. */
    void add(List<TokenEvent> deltas) {
        ArrayNode probabilities = logprobs(deltas);
        for (int i = 0; i < deltas.size(); i++) {
            switch (deltas.get(i)) {
                case TokenEvent.Text text
                when text.choice() == 0 -> {
                    StringBuilder joined = new StringBuilder(text.text());
                    while (i + 1 < deltas.size()
                            && deltas.get(i + 1) instanceof TokenEvent.Text more
                            && more.choice() == 0
                            && more.field() == text.field()) {
                        joined.append(more.text());
                        i++;
                    }
                    if (!joined.isEmpty()) {
                        boolean content = text.field() == TokenEvent.Field.CONTENT;
                        addText(text.field(), joined.toString(), content ? probabilities : NONE);
                        probabilities = content ? NONE : probabilities;
                    }
                }
                case TokenEvent.ToolCall call when call.choice() == 0 -> addCall(call);
                case TokenEvent.Finish(int choice, String reason, var _) when choice == 0 -> finishReason = reason;
                case TokenEvent.Text _,
                        TokenEvent.ToolCall _,
                        TokenEvent.Finish _,
                        TokenEvent.Model _,
                        TokenEvent.Role _,
                        TokenEvent.Thinking _,
                        TokenEvent.Logprobs _,
                        TokenEvent.Embedding _,
                        TokenEvent.Scored _,
                        TokenEvent.Spent _,
                        TokenEvent.End _,
                        TokenEvent.Broken _ -> {}
            }
        }
    }

    /** Returns the log probabilities of the deltas, in the form that a response has. */
    private static ArrayNode logprobs(List<TokenEvent> deltas) {
        ArrayNode all = Json.mapper().createArrayNode();
        for (TokenEvent delta : deltas) {
            if (delta instanceof TokenEvent.Logprobs(int choice, Object value) && choice == 0) {
                JsonNode given = Json.mapper().valueToTree(value);
                given.path("content").forEach(all::add);
            }
        }
        return all;
    }

    private void addText(TokenEvent.Field field, String text, ArrayNode probabilities) {
        OutputItem.PartType type = switch (field) {
            case CONTENT -> OutputItem.PartType.OUTPUT_TEXT;
            case REFUSAL -> OutputItem.PartType.REFUSAL;
            case REASONING -> reasoning;
        };
        OutputItem item =
                open(field == TokenEvent.Field.REASONING ? OutputItem.Kind.REASONING : OutputItem.Kind.MESSAGE);
        OutputItem.Part part = part(item, type);
        part.add(text, probabilities);
        ObjectNode event = place(item).put("delta", text);
        log.add(
                switch (type) {
                    case OUTPUT_TEXT -> {
                        event.set("logprobs", probabilities);
                        yield "response.output_text.delta";
                    }
                    case REFUSAL -> "response.refusal.delta";
                    case REASONING_TEXT -> "response.reasoning_text.delta";
                    case SUMMARY_TEXT -> "response.reasoning_summary_text.delta";
                },
                event);
    }

    /** Returns the open item of this kind. Begins a new one if another item is open. */
    private OutputItem open(OutputItem.Kind kind) {
        OutputItem there = current;
        if (there != null && there.isOpen() && there.kind() == kind) {
            return there;
        }
        return begin(OutputItem.text(kind, items.size(), base));
    }

    private OutputItem begin(OutputItem item) {
        closeComplete();
        items.add(item);
        current = item;
        ObjectNode event = Json.mapper().createObjectNode().put("output_index", item.index());
        event.set("item", item.json());
        log.add("response.output_item.added", event);
        return item;
    }

    /** Returns the last part of an item if it has this type. Begins a new part otherwise. */
    private OutputItem.Part part(OutputItem item, OutputItem.PartType type) {
        if (!item.parts().isEmpty()) {
            if (item.parts().getLast().type() == type) {
                return item.parts().getLast();
            }
            closePart(item);
        }
        OutputItem.Part part = new OutputItem.Part(type);
        item.parts().add(part);
        ObjectNode event = place(item);
        event.set("part", part.json());
        log.add(
                type == OutputItem.PartType.SUMMARY_TEXT
                        ? "response.reasoning_summary_part.added"
                        : "response.content_part.added",
                event);
        return part;
    }

    /** Returns the fields of an event that concerns the last part of an item. */
    private static ObjectNode place(OutputItem item) {
        boolean summary = item.parts().getLast().type() == OutputItem.PartType.SUMMARY_TEXT;
        return item.place()
                .put(summary ? "summary_index" : "content_index", item.parts().size() - 1);
    }

    private void addCall(TokenEvent.ToolCall piece) {
        OutputItem call = items.stream()
                .filter(item -> item.call() == piece.index())
                .findFirst()
                .orElse(null);
        if (call == null) {
            String id = piece.id() == null ? "call_" + base + "_" + items.size() : piece.id();
            String name = piece.name() == null ? "" : piece.name();
            call = begin(OutputItem.call(items.size(), base, piece.index(), id, name));
        }
        // a closed call has complete arguments: only blanks may follow
        if (!piece.arguments().isEmpty() && call.isOpen()) {
            call.addArguments(piece.arguments());
            log.add("response.function_call_arguments.delta", call.place().put("delta", piece.arguments()));
        }
    }

    /** Closes the open items, except for calls whose arguments are not complete. */
    private void closeComplete() {
        for (OutputItem item : items) {
            if (item.isOpen()
                    && (item.kind() != OutputItem.Kind.FUNCTION_CALL || Json.parseLenient(item.arguments()) != null)) {
                close(item, OutputItem.Status.COMPLETED);
            }
        }
    }

    private void close(OutputItem item, OutputItem.Status status) {
        item.close(status);
        if (item.kind() == OutputItem.Kind.FUNCTION_CALL) {
            log.add(
                    "response.function_call_arguments.done",
                    item.place().put("name", item.name()).put("arguments", item.arguments()));
        } else {
            closePart(item);
        }
        ObjectNode event = Json.mapper().createObjectNode().put("output_index", item.index());
        event.set("item", item.json());
        log.add("response.output_item.done", event);
    }

    private void closePart(OutputItem item) {
        OutputItem.Part part = item.parts().getLast();
        ObjectNode text = place(item);
        ObjectNode done = text.deepCopy();
        done.set("part", part.json());
        switch (part.type()) {
            case OUTPUT_TEXT -> {
                text.put("text", part.text()).set("logprobs", part.logprobs());
                log.add("response.output_text.done", text);
                log.add("response.content_part.done", done);
            }
            case REFUSAL -> {
                log.add("response.refusal.done", text.put("refusal", part.text()));
                log.add("response.content_part.done", done);
            }
            case REASONING_TEXT -> {
                log.add("response.reasoning_text.done", text.put("text", part.text()));
                log.add("response.content_part.done", done);
            }
            case SUMMARY_TEXT -> {
                log.add("response.reasoning_summary_text.done", text.put("text", part.text()));
                log.add("response.reasoning_summary_part.done", done);
            }
        }
    }

    /** Ends a complete answer: closes all items. An answer without any item gets an empty message. */
    void finish() {
        if (items.isEmpty()) {
            var _ = part(open(OutputItem.Kind.MESSAGE), OutputItem.PartType.OUTPUT_TEXT);
        }
        boolean whole = ending().status() == ResponseStatus.COMPLETED;
        for (OutputItem item : items) {
            if (item.isOpen()) {
                boolean last = item == items.getLast();
                close(item, last && !whole ? OutputItem.Status.INCOMPLETE : OutputItem.Status.COMPLETED);
            }
        }
    }

    /** Returns how the answer ended, by its finish reason. */
    ResponseObject.Ending ending() {
        return switch (String.valueOf(finishReason)) {
            case "length" -> ResponseObject.Ending.incomplete("max_output_tokens");
            case "content_filter" -> ResponseObject.Ending.incomplete("content_filter");
            default -> ResponseObject.Ending.COMPLETED;
        };
    }

    /** Returns the items. An item that is still open counts as incomplete. */
    ArrayNode output() {
        ArrayNode output = Json.mapper().createArrayNode();
        items.forEach(item -> output.add(item.isOpen() ? item.json(OutputItem.Status.INCOMPLETE) : item.json()));
        return output;
    }
}
