package dev.penstock.demo;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import dev.penstock.wire.Printable;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** One job's events as they come, by the reading rule. It prints the text, and compares it with the completed text. */
final class Reply {
    private final PrintStream out;
    private final long sent = System.nanoTime();
    private final Map<String, StringBuilder> text = new TreeMap<>();
    private Reading reading = Reading.START;
    private @Nullable Duration firstToken;
    private @Nullable Duration whole;
    private @Nullable JsonNode outcome;

    /** Starts the clock: the job is sent now. */
    Reply(PrintStream out) {
        this.out = out;
    }

    boolean isClosed() {
        return reading.isClosed();
    }

    void take(JsonNode event) {
        JsonNode job = event.path("job");
        EventMark mark = new EventMark(
                EventMark.Kind.of(job.path("event").asText()).orElseThrow(),
                job.path("attempt").intValue(),
                job.path("run").asText(),
                job.path("seq").longValue());
        Reading.Verdict verdict = reading.judge(mark);
        reading = reading.after(mark);
        switch (verdict) {
            case VOID -> {
                return;
            }
            case TAKES_OVER -> {
                if (!text.isEmpty()) {
                    out.print("\n  (it starts over)\n  ");
                }
                text.clear();
            }
            case VALID -> {
                // it continues
            }
        }
        if (mark.kind() == EventMark.Kind.CHUNK) {
            event.path("choices").path(0).path("delta").properties().forEach(field -> {
                if (field.getValue().isTextual() && !field.getKey().equals("role")) {
                    add(field.getKey(), field.getValue().textValue());
                }
            });
        } else if (mark.kind().isOutcome()) {
            whole = sinceSent();
            outcome = event;
        }
    }

    private void add(String field, String piece) {
        if (firstToken == null && !piece.isEmpty()) {
            firstToken = sinceSent();
        }
        text.computeIfAbsent(field, _ -> new StringBuilder()).append(piece);
        out.print(Printable.text(piece).replace("\n", "\n  "));
        out.flush();
    }

    private Duration sinceSent() {
        return Duration.ofNanos(System.nanoTime() - sent);
    }

    /** Returns the time from sending to the first piece of text. */
    Optional<Duration> firstToken() {
        return Optional.ofNullable(firstToken);
    }

    /** Returns the time from sending to the outcome. */
    Optional<Duration> whole() {
        return Optional.ofNullable(whole);
    }

    /** Returns the execution's figures from the completed event. */
    String summary() {
        JsonNode end = Objects.requireNonNull(outcome);
        return "completed by %s, %d tokens, finish_reason %s"
                .formatted(
                        end.path("job").path("node").asText(),
                        end.path("usage").path("completion_tokens").intValue(),
                        end.path("choices").path(0).path("finish_reason").asText());
    }

    /** Returns what is wrong with the reply; empty if it is complete and its chunks add up to its completed text. */
    Optional<String> mistake() {
        if (outcome == null) {
            return Optional.of("no outcome came");
        }
        if (reading.outcome() != EventMark.Kind.COMPLETED) {
            return Optional.of("it did not complete: " + outcome);
        }
        JsonNode message = outcome.path("choices").path(0).path("message");
        for (Map.Entry<String, StringBuilder> field : text.entrySet()) {
            String completed = message.path(field.getKey()).asText("");
            if (!completed.contentEquals(field.getValue())) {
                return Optional.of("its chunks' %s is not the completed one: '%s' against '%s'"
                        .formatted(field.getKey(), field.getValue(), completed));
            }
        }
        String content = message.path("content").asText("");
        return !content.isEmpty() && !text.containsKey("content")
                ? Optional.of("there were no chunks for: " + content)
                : firstToken == null ? Optional.of("it has no text: " + outcome) : Optional.empty();
    }
}
