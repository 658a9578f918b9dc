package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
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
import java.util.stream.Stream;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class JobStreamTest {
    private static final JobId ID = new JobId("resp_1");
    private static final long FIRST = 100;
    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-1", 1_700_000_000, "llama", Task.CHAT);
    private static final JobEvent.Execution EXECUTION =
            new JobEvent.Execution("n", "vllm", "llama", 1, 2L, 3, 1, List.of(), List.of(), null, 0);

    private final List<Watch.Next.Event> events = new ArrayList<>();
    private final Answer.Builder answer = new Answer.Builder();
    private int attempt;
    private long seq;

    private void add(JobEvent event) {
        EventMark mark = new EventMark(event.kind(), attempt, "run" + attempt, seq++);
        long offset = FIRST + events.size();
        events.add(new Watch.Next.Event(
                new ResumePoint(offset + 1, Reading.START),
                mark,
                Bytes.wrap(EventDocument.write(ID, mark, event)),
                1_700_000_000_000L + offset * 1_000));
    }

    private void started(PublishedText.@Nullable Place from) {
        attempt++;
        seq = 0;
        add(new JobEvent.Started(
                "n", "vllm", "llama", Instant.EPOCH, new RecordPlace("prompt-jobs", 0, 1), Map.of(), from));
    }

    private void chunk(TokenEvent... deltas) {
        add(new JobEvent.Chunk(HEAD, List.of(deltas)));
    }

    private static TokenEvent content(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }

    private static TokenEvent finish(String reason) {
        return new TokenEvent.Finish(0, reason);
    }

    private void completed(String text) {
        answer.add(content(text));
        answer.add(finish("stop"));
        answer.add(new TokenEvent.Spent(new Usage(3, 4)));
        add(new JobEvent.Completed(answer.build(HEAD), false, EXECUTION, Map.of()));
    }

    private static JobStream stream(@Nullable Long firstOffset, @Nullable Long after) {
        ObjectNode asked = Json.mapper().createObjectNode().put("model", "fast").put("background", true);
        return new JobStream(new ResponseHead(ID.value(), 1_700_000_000, asked), firstOffset, after);
    }

    /** Reads as a client does that resumes after this number: until the end, or an error event. */
    private static List<StreamEvent> read(List<Watch.Next.Event> events, @Nullable Long firstOffset, @Nullable Long after) {
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

    private List<StreamEvent> whole() {
        return read(events, FIRST, null);
    }

    /** A reader that resumes anywhere gets exactly the rest. */
    private void resumesAnywhere() {
        List<StreamEvent> all = whole();
        for (int i = 0; i < all.size(); i++) {
            assertThat(read(events, FIRST, (long) i)).isEqualTo(all.subList(i + 1, all.size()));
        }
    }

    private StrictReader strict() {
        return new StrictReader().read(whole());
    }

    @Test
    void a_job_becomes_the_events_of_a_response() {
        started(null);
        chunk(new TokenEvent.Role(0), content("Hel"));
        chunk(content("lo"), finish("stop"));
        completed("Hello");

        StrictReader reader = strict();

        assertThat(reader.types())
                .containsExactly(
                        "response.created",
                        "response.queued",
                        "response.in_progress",
                        "response.output_item.added",
                        "response.content_part.added",
                        "response.output_text.delta",
                        "response.output_text.delta",
                        "response.output_text.done",
                        "response.content_part.done",
                        "response.output_item.done",
                        "response.completed");
        assertThat(reader.text()).isEqualTo("Hello");
        assertThat(reader.response().path("model").asText()).isEqualTo("llama");
        assertThat(reader.response().path("usage").path("total_tokens").asInt()).isEqualTo(7);
        assertThat(reader.response().path("completed_at").asLong()).isEqualTo(1_700_000_000 + FIRST + 3);
        resumesAnywhere();
    }

    @Test
    void readers_that_came_early_and_late_get_the_same_events() {
        started(null);
        chunk(content("Hel"));
        started(new PublishedText.Place(1, 1));
        chunk(content("lo"));
        completed("Hello");

        List<StreamEvent> early = read(events, null, null);

        assertThat(early).isEqualTo(whole());
    }

    @Test
    void a_text_that_goes_on_at_another_node_goes_on_in_the_stream() {
        started(null);
        chunk(content("Hel"));
        started(new PublishedText.Place(1, 1));
        chunk(content("lo"));
        chunk(content("."), finish("stop"));
        completed("Hello.");

        StrictReader reader = strict();

        assertThat(reader.text()).isEqualTo("Hello.");
        assertThat(reader.types().stream().filter("response.in_progress"::equals)).hasSize(1);
        resumesAnywhere();
    }

    @Test
    void a_text_that_goes_on_before_what_was_told_is_told_once() {
        started(null);
        chunk(content("Hel"));
        chunk(content("lo, w"));
        started(new PublishedText.Place(1, 1));
        chunk(content("lo, "));
        chunk(content("world"));
        completed("Hello, world");

        assertThat(strict().text()).isEqualTo("Hello, world");
        assertThat(whole())
                .filteredOn(event -> event.type().equals("response.output_text.delta"))
                .extracting(event -> event.data().path("delta").asText())
                .containsExactly("Hel", "lo, w", "orld");
        resumesAnywhere();
    }

    @Test
    void an_answer_that_starts_over_with_the_same_text_goes_on() {
        started(null);
        chunk(new TokenEvent.Text(0, TokenEvent.Field.REASONING, "Hm."), content("Hel"));
        started(null);
        chunk(new TokenEvent.Text(0, TokenEvent.Field.REASONING, "Hm"));
        chunk(new TokenEvent.Text(0, TokenEvent.Field.REASONING, "."), content("He"));
        chunk(content("llo"));
        completed("Hello");

        assertThat(strict().text()).isEqualTo("Hello");
        resumesAnywhere();
    }

    @Test
    void an_answer_that_starts_over_with_another_text_ends_the_stream_with_an_error() {
        started(null);
        chunk(content("Hel"));
        started(null);
        chunk(content("Good"));
        chunk(content(" day"), finish("stop"));
        completed("Good day");

        List<StreamEvent> all = whole();

        assertThat(all.getLast().type()).isEqualTo("error");
        assertThat(all.getLast().data().path("code").asText()).isEqualTo("stream_broken");
        new StrictReader().read(all);
        // after the error, a reader gets the end with the whole answer
        List<StreamEvent> rest = read(events, FIRST, all.getLast().number());
        assertThat(rest).extracting(StreamEvent::type).containsExactly("response.completed");
        assertThat(rest.getFirst().number()).isEqualTo(all.getLast().number() + 1);
        assertThat(rest.getFirst().data().path("response").path("output").path(0).path("content").path(0).path("text").asText())
                .isEqualTo("Good day");
    }

    @Test
    void an_answer_that_starts_over_and_is_shorter_ends_the_stream_with_an_error() {
        started(null);
        chunk(content("Hello"));
        started(null);
        chunk(content("Hel"), finish("stop"));
        completed("Hel");

        assertThat(whole().getLast().type()).isEqualTo("error");
    }

    @Test
    void a_call_that_starts_over_with_another_id_ends_the_stream_with_an_error() {
        started(null);
        chunk(new TokenEvent.ToolCall(0, 0, "c1", "f", ""));
        started(null);
        chunk(new TokenEvent.ToolCall(0, 0, "c2", "f", "{}"));

        assertThat(whole().getLast().type()).isEqualTo("error");
    }

    @Test
    void calls_that_start_over_alike_go_on() {
        started(null);
        chunk(content("Wait."), new TokenEvent.ToolCall(0, 0, "c1", "f", ""));
        chunk(new TokenEvent.ToolCall(0, 0, null, null, "{\"a\""));
        started(null);
        chunk(content("Wait."), new TokenEvent.ToolCall(0, 0, "c1", "f", "{\"a"));
        chunk(new TokenEvent.ToolCall(0, 0, null, null, "\":1}"), new TokenEvent.ToolCall(0, 1, "c2", "g", "{}"));
        chunk(finish("tool_calls"));
        completed("");

        StrictReader reader = strict();

        assertThat(reader.response().path("output"))
                .extracting(item -> item.path("arguments").asText())
                .containsExactly("", "{\"a\":1}", "{}");
        resumesAnywhere();
    }

    @Test
    void an_answer_that_is_published_again_is_told_once() {
        started(null);
        chunk(content("Hel"));
        chunk(content("lo"), finish("stop"));
        started(null);
        chunk(content("Hello"), finish("stop"));
        completed("Hello");

        assertThat(strict().text()).isEqualTo("Hello");
        resumesAnywhere();
    }

    @Test
    void an_answer_without_chunks_comes_with_the_outcome() {
        started(null);
        completed("Hello");

        assertThat(strict().text()).isEqualTo("Hello");
        resumesAnywhere();
    }

    @Test
    void every_outcome_ends_the_stream_with_its_status() {
        Map<JobEvent, List<String>> outcomes = Map.of(
                new JobEvent.Cancelled(null, Map.of()),
                List.of("response.incomplete", "cancelled"),
                new JobEvent.Expired(null, Map.of()),
                List.of("response.failed", "failed"),
                new JobEvent.Failed(JobFailure.of(JobFailure.Code.POISON, "it crashed"), null, Map.of()),
                List.of("response.failed", "failed"),
                new JobEvent.Rejected(
                        new RecordPlace("prompt-jobs", 0, 1),
                        new RecordPlace("dlq", 0, 1),
                        JobFailure.of(JobFailure.Code.TOO_LARGE, "too large")),
                List.of("response.failed", "failed"));
        outcomes.forEach((outcome, expected) -> {
            events.clear();
            attempt = 0;
            seq = 0;
            add(outcome);

            StrictReader reader = strict();

            assertThat(reader.types())
                    .containsExactly("response.created", "response.queued", expected.getFirst());
            assertThat(reader.response().path("status").asText()).isEqualTo(expected.getLast());
            assertThat(reader.response().path("error").isNull()).isEqualTo(expected.getLast().equals("cancelled"));
            resumesAnywhere();
        });
    }

    @Test
    void a_response_that_is_cancelled_keeps_what_was_told() {
        started(null);
        chunk(content("Hel"));
        attempt++;
        seq = 0;
        add(new JobEvent.Cancelled(EXECUTION, Map.of()));

        StrictReader reader = strict();

        assertThat(reader.text()).isEqualTo("Hel");
        assertThat(reader.response().path("output").path(0).path("status").asText()).isEqualTo("incomplete");
        assertThat(reader.response().path("status").asText()).isEqualTo("cancelled");
    }

    @Test
    void an_answer_that_reached_its_limit_is_incomplete() {
        started(null);
        chunk(content("Hel"), finish("length"));
        answer.add(content("Hel"));
        answer.add(finish("length"));
        add(new JobEvent.Completed(answer.build(HEAD), false, EXECUTION, Map.of()));

        StrictReader reader = strict();

        assertThat(reader.types()).last().isEqualTo("response.incomplete");
        assertThat(reader.response().path("incomplete_details").path("reason").asText())
                .isEqualTo("max_output_tokens");
    }

    @Test
    void the_outcome_has_the_text_in_the_chunks_if_it_is_too_large_itself() {
        started(null);
        chunk(content("Hello"), finish("stop"));
        answer.add(content("Hello"));
        answer.add(finish("stop"));
        add(new JobEvent.Completed(answer.build(HEAD), false, EXECUTION, Map.of()).withoutText());

        assertThat(strict().text()).isEqualTo("Hello");
    }

    /** The topic keeps events for a day, and the ledger may keep outcomes for longer. */
    @Test
    void a_new_reader_gets_the_whole_answer_from_an_outcome_alone() {
        started(null);
        chunk(content("Hello"));
        completed("Hello");
        List<Watch.Next.Event> outcome = List.of(events.getLast());

        StrictReader reader = new StrictReader().read(read(outcome, FIRST, null));

        assertThat(reader.text()).isEqualTo("Hello");
        assertThat(reader.types()).last().isEqualTo("response.completed");
    }

    @Test
    void a_reader_that_resumes_gets_only_the_end_from_an_outcome_alone() {
        started(null);
        chunk(content("Hello"));
        completed("Hello");
        List<Watch.Next.Event> outcome = List.of(events.getLast());

        for (long after : new long[] {0, 5, 700}) {
            List<StreamEvent> rest = read(outcome, FIRST, after);
            StreamEvent end = rest.getLast();
            assertThat(end.type()).isEqualTo("response.completed");
            assertThat(end.number()).isGreaterThan(after);
            assertThat(end.data().path("response").path("output")).hasSize(1);
            assertThat(Stream.of("created", "queued").map("response."::concat))
                    .containsAll(rest.subList(0, rest.size() - 1).stream()
                            .map(StreamEvent::type)
                            .toList());
        }
    }

    @Test
    void events_whose_beginning_is_gone_are_not_numbered() {
        started(null);
        chunk(content("Hel"));
        started(null);
        chunk(content("Hello"), finish("stop"));
        completed("Hello");

        List<StreamEvent> rest = read(events.subList(2, events.size()), FIRST, 4L);

        assertThat(rest).extracting(StreamEvent::type).containsExactly("response.completed");
        assertThat(rest.getFirst().number()).isEqualTo(5);
        JsonNode output = rest.getFirst().data().path("response").path("output");
        assertThat(output.path(0).path("content").path(0).path("text").asText()).isEqualTo("Hello");
    }
}
