package dev.penstock.node.protocol.answer;

import dev.penstock.job.TokenEvent;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Holds back the first half of a surrogate pair until the second half comes, because some servers cut their text
 * between two surrogates. If the choice ends without the second half, the first half passes unchanged. Not thread-safe.
 */
public final class WholeCharacters implements Consumer<TokenEvent> {
    private final Consumer<TokenEvent> events;
    private final Map<Place, Character> halves = new HashMap<>();

    /**
     * The part of an answer to which a piece of text belongs.
     *
     * @param field the field with the text; null for the arguments of a tool call
     * @param call the number of the tool call
     */
    private record Place(int choice, TokenEvent.@Nullable Field field, int call) {}

    public WholeCharacters(Consumer<TokenEvent> events) {
        this.events = events;
    }

    @Override
    public void accept(TokenEvent event) {
        switch (event) {
            case TokenEvent.Text text when halves.isEmpty() && endsWhole(text.text()) -> events.accept(text);
            case TokenEvent.Text(int choice, TokenEvent.Field field, String text) -> {
                String whole = whole(new Place(choice, field, 0), text);
                if (!whole.isEmpty()) {
                    events.accept(new TokenEvent.Text(choice, field, whole));
                }
            }
            case TokenEvent.ToolCall call -> {
                String whole = whole(new Place(call.choice(), null, call.index()), call.arguments());
                if (!whole.isEmpty() || call.id() != null || call.name() != null) {
                    events.accept(new TokenEvent.ToolCall(call.choice(), call.index(), call.id(), call.name(), whole));
                }
            }
            case TokenEvent.Finish finish -> {
                release(finish.choice());
                events.accept(finish);
            }
            case TokenEvent.End end -> {
                halves.keySet().stream()
                        .map(Place::choice)
                        .sorted()
                        .distinct()
                        .toList()
                        .forEach(this::release);
                events.accept(end);
            }
            default -> events.accept(event);
        }
    }

    private static boolean endsWhole(String text) {
        return !text.isEmpty() && !Character.isHighSurrogate(text.charAt(text.length() - 1));
    }

    private String whole(Place place, String text) {
        if (text.isEmpty()) {
            return text;
        }
        Character half = halves.remove(place);
        String all = half == null ? text : half + text;
        char last = all.charAt(all.length() - 1);
        if (!Character.isHighSurrogate(last)) {
            return all;
        }
        halves.put(place, last);
        return all.substring(0, all.length() - 1);
    }

    private void release(int choice) {
        halves.entrySet().removeIf(held -> {
            Place place = held.getKey();
            if (place.choice() != choice) {
                return false;
            }
            String half = held.getValue().toString();
            events.accept(
                    place.field() == null
                            ? new TokenEvent.ToolCall(choice, place.call(), null, null, half)
                            : new TokenEvent.Text(choice, place.field(), half));
            return true;
        });
    }
}
