package dev.penstock.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import java.util.Optional;

/**
 * Picks the events of one job that count, by the reading rule, each once even where a stream that was cut shows some
 * again. Owned by the thread that reads.
 */
final class ValidEvents {
    private Reading reading = Reading.START;
    private long lastSeq = -1;

    /** The event, if it counts; it has to come in the order of its partition. */
    Optional<ValidEvent> accept(EventMark mark, String json) {
        Reading.Verdict verdict = reading.judge(mark);
        boolean again = verdict == Reading.Verdict.VALID && mark.seq() <= lastSeq;
        if (verdict == Reading.Verdict.VOID || again) {
            return Optional.empty();
        }
        reading = reading.after(mark);
        lastSeq = mark.seq();
        return Optional.of(new ValidEvent(mark, verdict == Reading.Verdict.TAKES_OVER, json));
    }

    /** The mark that stands in an event's value; over Kafka it stands in the headers too. */
    static Optional<EventMark> mark(JsonNode event) {
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
