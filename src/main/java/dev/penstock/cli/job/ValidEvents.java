package dev.penstock.cli.job;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import java.util.Optional;

/**
 * Selects the valid events of one job by the reading rule. It returns each event only once, even if a resumed stream
 * repeats some events. Owned by the reading thread.
 */
public final class ValidEvents {
    private Reading reading = Reading.START;
    private long lastSeq = -1;

    /** Returns the event if it is valid. Events must come in the order of their partition. */
    public Optional<ValidEvent> accept(EventMark mark, String json) {
        Reading.Verdict verdict = reading.judge(mark);
        boolean again = verdict == Reading.Verdict.VALID && mark.seq() <= lastSeq;
        if (verdict == Reading.Verdict.VOID || again) {
            return Optional.empty();
        }
        reading = reading.after(mark);
        lastSeq = mark.seq();
        return Optional.of(new ValidEvent(mark, verdict == Reading.Verdict.TAKES_OVER, json));
    }

    /** Returns the mark from an event's value. In Kafka, the record's headers have the mark too. */
    public static Optional<EventMark> mark(JsonNode event) {
        JsonNode job = event.path("job");
        if (!job.path("attempt").canConvertToInt() || !job.path("seq").canConvertToLong()) {
            return Optional.empty();
        }
        return EventMark.Kind.of(job.path("event").asText())
                .map(kind -> new EventMark(
                        kind,
                        job.path("attempt").intValue(),
                        job.path("run").asText(),
                        job.path("seq").longValue()));
    }
}
