package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Jobs that no worker reaches: all workers are busy for half a minute, and hold no record but the one that they run.
 */
final class JanitorIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration SOON = Duration.ofSeconds(5);

    private static Broker broker;
    private static FakeUpstream fake;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        fake = FakeUpstream.start();
        penstock = PenstockProcess.with(broker.bootstrap())
                .name("janitor")
                .node("fake", "vllm", URI.create(fake.url()), 1)
                .config("penstock.intake.slots", "1")
                .config("penstock.intake.consumers", "1")
                .config("penstock.intake.batch", "1")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        fake.close();
        broker.close();
    }

    @Test
    void a_queued_job_is_cancelled_or_expires_in_time_and_never_reaches_a_node() throws InterruptedException {
        fake.script(request ->
                request.prompt().equals("long") ? Answer.tokens(30).every(Duration.ofSeconds(1)) : Answer.of("ok"));
        submit("long", "long", "");
        fake.awaitRequests(1, PATIENCE);
        submit("to-cancel", "never", "");
        submit("to-expire", "never", ",\"deadline\":\"PT10S\"");

        assertThat(Rest.delete(penstock.url(), "/v1/jobs/to-cancel").status()).isEqualTo(202);
        long asked = System.currentTimeMillis();
        ReplyLog.Event cancelled = outcome("to-cancel");
        ReplyLog.Event expired = outcome("to-expire");

        long created = Instant.parse(Rest.get(penstock.url(), "/v1/jobs/to-expire")
                        .json()
                        .path("created_at")
                        .asText())
                .toEpochMilli();
        System.out.printf(
                "all workers busy: cancelled %d ms after it was asked, expired %d ms after its deadline%n",
                cancelled.timestamp() - asked, expired.timestamp() - created - 10_000);
        assertThat(cancelled.mark().kind()).isEqualTo(EventMark.Kind.CANCELLED);
        assertThat(cancelled.mark().attempt()).isZero();
        assertThat(Duration.ofMillis(cancelled.timestamp() - asked)).isLessThan(SOON);
        assertThat(expired.mark().kind()).isEqualTo(EventMark.Kind.EXPIRED);
        assertThat(Duration.ofMillis(expired.timestamp() - created - 10_000))
                .isGreaterThanOrEqualTo(Duration.ZERO)
                .isLessThan(SOON);
        assertThat(Rest.get(penstock.url(), "/v1/jobs/long")
                        .json()
                        .path("status")
                        .asText())
                .isEqualTo("running");

        replies.awaitOutcomes(List.of("long"), PATIENCE.multipliedBy(2));
        submit("after", "after", "");
        replies.awaitOutcomes(List.of("after"), PATIENCE);
        assertThat(fake.requests().stream().map(exchange -> exchange.request().prompt()))
                .containsExactly("long", "after");
        assertThat(replies.outcome("to-cancel")).isEqualTo(cancelled);
        assertThat(replies.outcome("to-expire")).isEqualTo(expired);
    }

    private static ReplyLog.Event outcome(String id) throws InterruptedException {
        replies.awaitOutcomes(List.of(id), PATIENCE);
        return replies.outcome(id);
    }

    private static void submit(String id, String prompt, String more) throws InterruptedException {
        String document = JobSender.chat(id, prompt).replace("\"id\":\"" + id + "\"", "\"id\":\"" + id + "\"" + more);
        assertThat(Rest.post(penstock.url(), "/v1/jobs", "application/json", document)
                        .status())
                .isEqualTo(202);
    }
}
