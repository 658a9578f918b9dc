package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Reading;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.reply.ResumePoint;
import dev.penstock.reply.Watch;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/** A job whose events are played, and the response that they become. */
abstract class PlayedJob {
    static final JobId ID = new JobId("resp_1");
    static final long FIRST = 100;
    static final Answer.Head HEAD = new Answer.Head("chatcmpl-1", 1_700_000_000, "llama", Task.CHAT);
    static final JobEvent.Execution EXECUTION =
            new JobEvent.Execution("n", "vllm", "llama", 1, 2L, 3, 1, List.of(), List.of(), null, 0);

    final List<Watch.Next.Event> events = new ArrayList<>();
    final Answer.Builder answer = new Answer.Builder();
    int attempt;
    long seq;

    void add(JobEvent event) {
        EventMark mark = new EventMark(event.kind(), attempt, "run" + attempt, seq++);
        long offset = FIRST + events.size();
        events.add(new Watch.Next.Event(
                new ResumePoint(offset + 1, Reading.START),
                mark,
                Bytes.wrap(EventDocument.write(ID, mark, event)),
                1_700_000_000_000L + offset * 1_000));
    }

    void started(PublishedText.@Nullable Place from) {
        attempt++;
        seq = 0;
        add(new JobEvent.Started(
                "n", "vllm", "llama", Instant.EPOCH, new RecordPlace("prompt-jobs", 0, 1), Map.of(), from));
    }

    void chunk(TokenEvent... deltas) {
        add(new JobEvent.Chunk(HEAD, List.of(deltas)));
    }

    static TokenEvent content(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }

    static TokenEvent finish(String reason) {
        return new TokenEvent.Finish(0, reason);
    }

    void completed(String text) {
        answer.add(content(text));
        answer.add(finish("stop"));
        answer.add(new TokenEvent.Spent(new Usage(3, 4)));
        add(new JobEvent.Completed(answer.build(HEAD), false, EXECUTION, Map.of()));
    }

    static JobStream stream(@Nullable Long firstOffset, @Nullable Long after) {
        ObjectNode asked = Json.mapper().createObjectNode().put("model", "fast").put("background", true);
        return new JobStream(new ResponseHead(ID.value(), 1_700_000_000, asked), firstOffset, after);
    }

    /** Reads as a client does that resumes after this number: until the end, or an error event. */
    static List<StreamEvent> read(List<Watch.Next.Event> events, @Nullable Long firstOffset, @Nullable Long after) {
        JobStream stream = stream(firstOffset, after);
        List<StreamEvent> all = new ArrayList<>(stream.begin());
        for (Watch.Next.Event event : events) {
            all.addAll(stream.next(event));
        }
        List<StreamEvent> read = new ArrayList<>();
        for (StreamEvent event : all) {
            read.add(event);
            if (event.endsStream()) {
                break;
            }
        }
        return read;
    }

    List<StreamEvent> whole() {
        return read(events, FIRST, null);
    }

    /** A reader that resumes anywhere gets exactly the rest. */
    void resumesAnywhere() {
        List<StreamEvent> all = whole();
        for (int i = 0; i < all.size(); i++) {
            assertThat(read(events, FIRST, (long) i)).isEqualTo(all.subList(i + 1, all.size()));
        }
    }

    StrictReader strict() {
        return new StrictReader().read(whole());
    }
}
