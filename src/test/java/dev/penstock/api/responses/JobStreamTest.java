package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PublishedText;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.TokenEvent;
import dev.penstock.reply.Watch;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class JobStreamTest extends PlayedJob {
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

            assertThat(reader.types()).containsExactly("response.created", "response.queued", expected.getFirst());
            assertThat(reader.response().path("status").asText()).isEqualTo(expected.getLast());
            assertThat(reader.response().path("error").isNull())
                    .isEqualTo(expected.getLast().equals("cancelled"));
            resumesAnywhere();
        });
    }

    @Test
    void a_response_that_is_cancelled_keeps_what_was_sent() {
        started(null);
        chunk(content("Hel"));
        attempt++;
        seq = 0;
        add(new JobEvent.Cancelled(EXECUTION, Map.of()));

        StrictReader reader = strict();

        assertThat(reader.text()).isEqualTo("Hel");
        assertThat(reader.response().path("output").path(0).path("status").asText())
                .isEqualTo("incomplete");
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
