package dev.penstock.testkit.upstream;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A script that reads instructions from the prompt itself: {@code Hello [[tokens=10 delay=20 first=50]]}. Times are
 * milliseconds. {@code stall}, {@code close}, {@code reset}, {@code noend} and {@code error} count tokens; without a
 * number they mean all tokens. Missing instructions come from the defaults, else the answer has 8 tokens at once.
 */
final class PromptScript implements Function<UpstreamRequest, Answer> {
    private static final Set<String> KEYS = Set.of(
            "tokens",
            "unicode",
            "reasoning",
            "finish",
            "byte",
            "first",
            "delay",
            "status",
            "message",
            "stall",
            "close",
            "reset",
            "noend",
            "error",
            "pieces",
            "pause");
    private static final Pattern BRACKETS = Pattern.compile("\\[\\[(.*?)]]", Pattern.DOTALL);

    private final Map<String, String> defaults;

    PromptScript(Map<String, String> defaults) {
        defaults.keySet().forEach(PromptScript::check);
        this.defaults = Map.copyOf(defaults);
    }

    @Override
    public Answer apply(UpstreamRequest request) {
        Map<String, String> wanted = new LinkedHashMap<>(defaults);
        Matcher matcher = BRACKETS.matcher(request.prompt());
        while (matcher.find()) {
            for (String pair : matcher.group(1).strip().split("\\s+", -1)) {
                int equals = pair.indexOf('=');
                String key = equals < 0 ? pair : pair.substring(0, equals);
                check(key);
                wanted.put(key, equals < 0 ? "" : pair.substring(equals + 1));
            }
        }
        return answer(wanted);
    }

    private static Answer answer(Map<String, String> wanted) {
        if (wanted.containsKey("status")) {
            String message =
                    wanted.getOrDefault("message", "as the prompt asked").replace('_', ' ');
            return paced(Answer.refuse(number(wanted, "status", 500), message), wanted);
        }
        int tokens = number(wanted, "tokens", 8);
        Answer answer = wanted.containsKey("unicode") ? Answer.unicode(tokens) : Answer.tokens(tokens);
        if (wanted.containsKey("reasoning")) {
            answer = answer.reasoning(Words.ascii(number(wanted, "reasoning", 4)));
        }
        answer = answer.finishReason(wanted.getOrDefault("finish", "stop"));
        return paced(ended(answer, wanted), wanted);
    }

    private static Answer ended(Answer answer, Map<String, String> wanted) {
        if (wanted.containsKey("stall")) {
            return answer.stallAfter(place(wanted, "stall"));
        }
        if (wanted.containsKey("close")) {
            return answer.closeAfter(place(wanted, "close"));
        }
        if (wanted.containsKey("reset")) {
            return answer.resetAfter(place(wanted, "reset"));
        }
        if (wanted.containsKey("noend")) {
            return answer.withoutEndMarkAfter(place(wanted, "noend"));
        }
        return wanted.containsKey("error") ? answer.failAfter(place(wanted, "error")) : answer;
    }

    private static Answer paced(Answer answer, Map<String, String> wanted) {
        Answer paced = answer.firstByteAfter(millis(wanted, "byte"))
                .firstTokenAfter(millis(wanted, "first"))
                .every(millis(wanted, "delay"));
        return wanted.containsKey("pieces")
                ? paced.piecesOf(number(wanted, "pieces", 1)).pauseBetweenPieces(millis(wanted, "pause"))
                : paced;
    }

    private static Duration millis(Map<String, String> wanted, String key) {
        return Duration.ofMillis(number(wanted, key, 0));
    }

    private static int place(Map<String, String> wanted, String key) {
        return number(wanted, key, Answer.Ending.ALL);
    }

    private static int number(Map<String, String> wanted, String key, int otherwise) {
        String value = wanted.getOrDefault(key, "");
        return value.isEmpty() ? otherwise : Integer.parseInt(value);
    }

    private static void check(String key) {
        if (!KEYS.contains(key)) {
            throw new IllegalArgumentException("there is no instruction " + key + ", only " + KEYS);
        }
    }
}
