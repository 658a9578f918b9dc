package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The point at which a reader of a job's events continues: the reader's state by the reading rule, and the next offset.
 * It is opaque to clients, which send it back as Last-Event-ID.
 */
public record ResumePoint(long nextOffset, Reading reading) {
    private static final Pattern FORM = Pattern.compile("(\\d{1,18})\\.(-?\\d{1,9})\\.([^.\\s]{0,64})\\.([a-z]{0,16})");

    /** The point before any event. */
    public static final ResumePoint START = new ResumePoint(0, Reading.START);

    @Override
    public String toString() {
        return "%d.%d.%s.%s"
                .formatted(
                        nextOffset,
                        reading.attempt(),
                        reading.run() == null ? "" : reading.run(),
                        reading.outcome() == null ? "" : reading.outcome().wireName());
    }

    /** Parses a resume point; empty if Penstock did not write the text. */
    public static Optional<ResumePoint> parse(String text) {
        Matcher matcher = FORM.matcher(text);
        if (!matcher.matches()) {
            return Optional.empty();
        }
        String run = matcher.group(3);
        EventMark.Kind outcome = EventMark.Kind.of(matcher.group(4))
                .filter(EventMark.Kind::isOutcome)
                .orElse(null);
        int attempt = Integer.parseInt(matcher.group(2));
        return Optional.of(new ResumePoint(
                Long.parseLong(matcher.group(1)), new Reading(attempt, run.isEmpty() ? null : run, outcome)));
    }
}
