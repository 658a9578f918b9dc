package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Assembles one choice's tool calls from their pieces. An empty id or name counts as missing. A new id begins another
 * call, even if the index is not new. A name after a complete call also begins another call. Every call has an id of
 * its own; if the server sends none, Penstock creates it. Not thread-safe.
 */
final class ToolCalls {
    private static final Set<String> OF_CALL = Set.of("function", "arguments");
    private static final Set<String> OF_FUNCTION = Set.of("arguments");
    private static final int ID_BYTES = 12;

    private final int choice;
    private final List<Call> calls = new ArrayList<>();
    private final Map<Integer, Call> current = new HashMap<>();
    private final Set<String> ids = new HashSet<>();
    private String answerId = "";

    private static final class Call {
        final int number;
        final @Nullable Integer index;
        final StringBuilder arguments = new StringBuilder();
        final JsonEnd end = new JsonEnd();
        String serverId;
        String name = "";
        boolean opened;

        Call(int number, @Nullable Integer index, String serverId) {
            this.number = number;
            this.index = index;
            this.serverId = serverId;
        }
    }

    ToolCalls(int choice) {
        this.choice = choice;
    }

    /** Sets the identity of this answer, from which Penstock creates the ids of calls. */
    void of(String answer) {
        if (answerId.isEmpty()) {
            answerId = answer;
        }
    }

    boolean isEmpty() {
        return calls.isEmpty();
    }

    int size() {
        return calls.size();
    }

    /** Returns whether a call has this id. */
    boolean knows(String id) {
        return calls.stream().anyMatch(call -> call.serverId.equals(id));
    }

    /** Adds a piece of a call in OpenAI's form. */
    void piece(String path, JsonNode piece, Consumer<TokenEvent> events) throws UnreadText {
        JsonNode function = piece.path("function");
        UnreadText.check(path, piece, OF_CALL);
        UnreadText.check(path + ".function", function, OF_FUNCTION);
        JsonNode given = piece.path("index");
        JsonNode name = function.has("name") ? function.path("name") : piece.path("name");
        add(
                given.isNumber() || given.isTextual() ? Integer.valueOf(given.asInt()) : null,
                piece.path("id").asText(""),
                name.isTextual() ? name.textValue() : "",
                arguments(function.has("arguments") ? function.path("arguments") : piece.path("arguments")),
                events);
    }

    /** Returns the arguments as text. Some servers send them as an object. */
    static String arguments(JsonNode arguments) {
        if (arguments.isTextual()) {
            return arguments.textValue();
        }
        return arguments.isNull() || arguments.isMissingNode() ? "" : arguments.toString();
    }

    /**
     * Adds a piece of a call.
     *
     * @param index the server's index of the call; null if it sends none
     * @param id the server's id of the call; empty if it sends none
     * @param name the name of the tool; empty if the server sends none
     */
    void add(@Nullable Integer index, String id, String name, String arguments, Consumer<TokenEvent> events)
            throws UnreadText {
        Call call = find(index, id, name, arguments);
        if (call != null && isRepeated(call, id, name, arguments)) {
            return;
        }
        if (call == null) {
            open(events);
            call = new Call(calls.size(), index, id);
            calls.add(call);
        }
        current.put(index == null ? -1 : index, call);
        if (call.serverId.isEmpty()) {
            call.serverId = id;
        }
        String more = more(call, name);
        call.name += more;
        call.arguments.append(arguments);
        call.end.take(arguments);
        if (!call.opened && (!call.serverId.isEmpty() || !arguments.isEmpty())) {
            open(call, arguments, events);
        } else if (call.opened && !(more + arguments).isEmpty()) {
            events.accept(new TokenEvent.ToolCall(choice, call.number, null, more.isEmpty() ? null : more, arguments));
        }
    }

    /** Reports the calls that are not reported yet. A call with only a name is complete. */
    void open(Consumer<TokenEvent> events) {
        for (Call call : calls) {
            if (!call.opened) {
                open(call, "", events);
            }
        }
    }

    private void open(Call call, String arguments, Consumer<TokenEvent> events) {
        call.opened = true;
        String id = call.serverId;
        for (int i = 0; id.isEmpty() || !ids.add(id); i++) {
            id = ownId(call.number, i);
        }
        events.accept(
                new TokenEvent.ToolCall(choice, call.number, id, call.name.isEmpty() ? null : call.name, arguments));
    }

    private @Nullable Call find(@Nullable Integer index, String id, String name, String arguments) {
        Call last = index != null ? current.get(index) : calls.isEmpty() ? null : calls.getLast();
        if (id.isEmpty()) {
            return last == null || begins(last, name) ? null : last;
        }
        Call same = null;
        for (Call call : calls) {
            if (call.serverId.equals(id) && (index == null || index.equals(call.index))) {
                same = call;
            }
        }
        if (same != null) {
            boolean another = begins(same, name) && same.end.isComplete() && !arguments.contentEquals(same.arguments);
            return another && !arguments.isEmpty() ? null : same;
        }
        return last != null && last.serverId.isEmpty() && !begins(last, name) ? last : null;
    }

    /** Returns whether a name begins a new call after this call. */
    private static boolean begins(Call call, String name) {
        return !name.isEmpty() && !call.name.isEmpty() && (call.end.isComplete() || !name.equals(call.name));
    }

    /** Returns whether the server repeats a complete call. */
    private static boolean isRepeated(Call call, String id, String name, String arguments) {
        return !id.isEmpty()
                && !name.isEmpty()
                && call.opened
                && call.end.isComplete()
                && arguments.contentEquals(call.arguments);
    }

    /** Returns the new part of a name. Some servers repeat the name in each piece, and some send it in pieces. */
    private static String more(Call call, String name) throws UnreadText {
        if (name.equals(call.name)) {
            return "";
        }
        if (!name.isEmpty() && !call.arguments.isEmpty() && !call.name.isEmpty()) {
            throw new UnreadText("the name '%s' in the midst of the arguments of the tool call '%s'"
                    .formatted(ServerErrors.shorten(name), ServerErrors.shorten(call.name)));
        }
        return name;
    }

    private String ownId(int number, int again) {
        String seed = "%s %d %d %d".formatted(answerId, choice, number, again);
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(seed.getBytes(StandardCharsets.UTF_8));
            return "call_" + HexFormat.of().formatHex(digest, 0, ID_BYTES);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
