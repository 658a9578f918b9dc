package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.direct.AnswerFormat;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.ErrorDocument;
import java.time.Clock;
import java.util.List;

/** Writes the answer to a direct call as a response that is not kept. */
final class ResponsesFormat implements AnswerFormat {
    private final ResponseHead response;
    private final Clock clock;
    private final EventLog log = new EventLog();
    private final OutputEvents output;
    private String model = "";

    ResponsesFormat(ResponseHead response, Clock clock) {
        this.response = response;
        this.clock = clock;
        output = new OutputEvents(response, log);
    }

    @Override
    public String streamType() {
        return "text/event-stream";
    }

    @Override
    public byte[] whole(Answer answer) {
        return Json.bytes(ended(OutputEvents.of(response, OutputEvents.deltas(answer)), answer));
    }

    @Override
    public String begin(Answer.Head head) {
        model = head.model();
        log.addResponse("response.created", ResponseObject.open(response, ResponseStatus.IN_PROGRESS, model));
        log.addResponse("response.in_progress", ResponseObject.open(response, ResponseStatus.IN_PROGRESS, model));
        return text();
    }

    @Override
    public String piece(Answer.Head head, List<TokenEvent> deltas) {
        output.add(deltas);
        return text();
    }

    @Override
    public String end(Answer answer) {
        String reason = answer.choices().getFirst().finishReason();
        if (reason != null) {
            output.add(List.of(new TokenEvent.Finish(0, reason)));
        }
        output.finish();
        log.addResponse(output.ending().status().event(), ended(output, answer));
        return text();
    }

    private ObjectNode ended(OutputEvents items, Answer answer) {
        return ResponseObject.ended(
                response, items.ending(), answer.head().model(), items.output(), answer.usage(), seconds());
    }

    @Override
    public String broken(JobFailure failure) {
        ResponseObject.Ending ending = ResponseObject.Ending.failed(ResponseObject.error(failure));
        log.addResponse(
                ending.status().event(),
                ResponseObject.ended(response, ending, model, output.output(), null, seconds()));
        return text();
    }

    @Override
    public byte[] error(JobFailure failure) {
        return Json.bytes(ErrorDocument.of(failure));
    }

    private long seconds() {
        return clock.instant().getEpochSecond();
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        log.take().forEach(event -> text.append(event.text()));
        return text.toString();
    }
}
