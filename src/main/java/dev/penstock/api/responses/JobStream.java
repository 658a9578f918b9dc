package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PublishedText;
import dev.penstock.job.TokenEvent;
import dev.penstock.reply.Watch;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Turns the valid events of a job into the events of a response. The events and their numbers depend only on the job's
 * events, so each reader at each replica gets the same ones. Not thread-safe: the thread of the stream owns it.
 *
 * <p>A further attempt may write the answer again. As long as it writes what the stream has sent, the stream waits, and
 * then goes on. If it writes another text, the stream ends with an error event. A reader that resumes after this event
 * gets the event that ends the response, with the whole answer.
 */
final class JobStream {
    private static final JobFailure STARTED_OVER = JobFailure.of(
            JobFailure.Code.STREAM_BROKEN,
            "the answer started over after a failure, and its text differs from the text of this stream. Get the response when it has ended, or resume the stream after this event");

    private final ResponseHead head;
    private final @Nullable Long firstOffset;
    private final @Nullable Long after;
    private final EventLog log = new EventLog();
    private final OutputEvents output;
    private final SentText sent = new SentText();
    private @Nullable String model;
    private boolean hasEvents;
    private boolean isStarted;
    /** The topic has dropped the job's first events, so the numbers of the later ones are not known. */
    private boolean lacksEvents;

    private boolean startedOver;

    /**
     * @param firstOffset the offset of the job's first event; null if it is not known, or there is none
     * @param after the number of the last event that the reader has; null if the reader has none
     */
    JobStream(ResponseHead head, @Nullable Long firstOffset, @Nullable Long after) {
        this.head = head;
        this.firstOffset = firstOffset;
        this.after = after;
        output = new OutputEvents(head, log);
        log.addResponse("response.created", ResponseObject.open(head, ResponseStatus.QUEUED, null));
        log.addResponse("response.queued", ResponseObject.open(head, ResponseStatus.QUEUED, null));
    }

    /** Returns the events before the job's first event. */
    List<StreamEvent> begin() {
        return wanted();
    }

    /** Takes the job's next event. Returns the events that the reader does not have. */
    List<StreamEvent> next(Watch.Next.Event event) {
        EventMark mark = event.mark();
        if (!hasEvents) {
            hasEvents = true;
            boolean isLater = firstOffset != null && event.offset() > firstOffset;
            lacksEvents = isLater || (mark.kind().isOutcome() && mark.seq() > 0);
        }
        JsonNode parsed = Json.parseLenient(new String(event.value().get(), StandardCharsets.UTF_8));
        JsonNode document = parsed == null ? MissingNode.getInstance() : parsed;
        switch (mark.kind()) {
            case STARTED -> started(document);
            case CHUNK -> chunk(mark, document);
            case COMPLETED -> completed(document);
            case FAILED, CANCELLED, EXPIRED, REJECTED -> {}
        }
        if (mark.kind().isOutcome() || mark.kind() == EventMark.Kind.REJECTED) {
            end(mark, document, Duration.ofMillis(event.millis()).toSeconds());
        }
        return wanted();
    }

    private void started(JsonNode document) {
        model = document.path("job").path("model").asText(model);
        if (!lacksEvents && !isStarted) {
            isStarted = true;
            log.addResponse("response.in_progress", ResponseObject.open(head, ResponseStatus.IN_PROGRESS, model));
        }
        JsonNode from = document.path("job").path("resumed_from");
        PublishedText.Place place = from.isObject()
                ? new PublishedText.Place(
                        from.path("attempt").asInt(), from.path("seq").asLong())
                : null;
        if (goesOn() && !sent.restart(place)) {
            startOver();
        }
    }

    private boolean goesOn() {
        return !lacksEvents && !startedOver;
    }

    private void chunk(EventMark mark, JsonNode document) {
        if (goesOn()) {
            send(ChatDeltas.of(document));
            sent.endOf(new PublishedText.Place(mark.attempt(), mark.seq()));
        }
    }

    private void send(List<TokenEvent> deltas) {
        Optional<List<TokenEvent>> fresh = sent.add(deltas);
        if (fresh.isPresent()) {
            output.add(fresh.get());
        } else {
            startOver();
        }
    }

    private void startOver() {
        startedOver = true;
        log.addError(STARTED_OVER);
    }

    private void completed(JsonNode document) {
        model = document.path("model").asText(model);
        if (goesOn() && sent.isEmpty()) {
            // the answer has no text, or the job published none of it
            send(ChatDeltas.of(document));
        }
        output.add(ChatDeltas.of(document).stream()
                .filter(TokenEvent.Finish.class::isInstance)
                .toList());
        if (goesOn() && !sent.isAtEnd()) {
            startOver();
        }
        if (lacksEvents && after == null) {
            log.addResponse("response.in_progress", ResponseObject.open(head, ResponseStatus.IN_PROGRESS, model));
            output.add(ChatDeltas.of(document));
        }
        if (goesOn() || (lacksEvents && after == null)) {
            output.finish();
        }
    }

    private void end(EventMark mark, JsonNode document, long endedAt) {
        JobOutcome outcome = JobOutcome.of(mark.kind(), document, head);
        boolean isSent = goesOn() || (lacksEvents && after == null);
        ArrayNode items = isSent ? output.output() : outcome.output();
        if (lacksEvents && after != null) {
            // nothing that the reader has can be numbered again, so the last event is the next one for this reader
            log.skipTo(after + 1);
        }
        log.addResponse(
                outcome.ending().status().event(),
                ResponseObject.ended(head, outcome.ending(), model, items, outcome.usage(), endedAt));
    }

    private List<StreamEvent> wanted() {
        List<StreamEvent> events = log.take();
        return after == null
                ? events
                : events.stream().filter(event -> event.number() > after).toList();
    }
}
