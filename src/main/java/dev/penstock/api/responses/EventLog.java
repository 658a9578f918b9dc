package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;

/** Numbers the events of one streamed response. Not thread-safe: the thread of the stream owns it. */
final class EventLog {
    private List<StreamEvent> events = new ArrayList<>();
    private long next;

    /** Adds an event, which gets the next number. */
    void add(String type, ObjectNode fields) {
        ObjectNode data = Json.mapper().createObjectNode();
        data.put("type", type).put("sequence_number", next);
        data.setAll(fields);
        events.add(new StreamEvent(next, type, data));
        next++;
    }

    /** Adds an event with a response object. */
    void addResponse(String type, ObjectNode response) {
        ObjectNode fields = Json.mapper().createObjectNode();
        fields.set("response", response);
        add(type, fields);
    }

    /** Adds the event that ends a stream early. */
    void addError(JobFailure failure) {
        add(StreamEvent.ERROR, error(failure));
    }

    /** Returns the fields of an error event. */
    static ObjectNode error(JobFailure failure) {
        return Json.mapper()
                .createObjectNode()
                .put("code", failure.code().wireName())
                .put("message", failure.message())
                .put("param", failure.param());
    }

    /** Gives the next event this number, if it is larger than the number that the event would get. */
    void skipTo(long number) {
        next = Math.max(next, number);
    }

    /** Returns the new events since the last call. */
    List<StreamEvent> take() {
        List<StreamEvent> taken = events;
        events = new ArrayList<>();
        return taken;
    }
}
