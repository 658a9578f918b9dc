package dev.penstock.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.Reading;
import dev.penstock.ledger.PlayedLedger;
import dev.penstock.reply.PlayedRecovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.PlayedProducer;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.apache.kafka.clients.producer.MockProducer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfirmationTest {
    private static final Instant NOW = Instant.parse("2026-05-01T12:00:00Z");

    @ParameterizedTest
    @CsvSource({
        // the state on the reply topic; the announced outcome; the minutes since; the standing
        "1, run1, completed, 1, run1,    0, VALID",
        "1, run1, completed, 1, run1, 3000, VALID",
        "1, run2, completed, 1, run1,    0, VOID",
        "2, run2, cancelled, 1, run1,    0, VOID",
        "0, run9, cancelled, 1, run1,    0, VOID",
        "1, run1,          , 1, run1,    0, OPEN",
        "1, run1,          , 1, run1,   60, OPEN",
        "1, run1,          , 1, run1,   61, VOID",
        "1, run2,          , 1, run1,    0, VOID",
        "2, run2,          , 1, run1,    0, VOID",
        "1, run1,          , 2, jan,     0, OPEN",
        "-1,    ,          , 0, jan,     0, OPEN",
        "-1,    ,          , 0, jan,    61, VOID",
        "-1,    ,          , 0, jan,   721, VALID"
    })
    void only_the_outcome_that_ended_its_job_is_posted(
            int attempt, String run, String outcome, int ofAttempt, String ofRun, int minutes, String standing) {
        Reading reading = new Reading(
                attempt,
                run,
                outcome == null ? null : EventMark.Kind.of(outcome).orElseThrow());
        EventMark mark = new EventMark(EventMark.Kind.COMPLETED, ofAttempt, ofRun, 2);

        assertThat(Confirmation.judge(reading, mark, Duration.ofMinutes(minutes)))
                .isEqualTo(Confirmation.Standing.valueOf(standing));
    }

    @Test
    void the_reply_topic_tells_it_while_the_ledger_is_away() throws Exception {
        Settings settings = TestSettings.defaults();
        MockProducer<byte[], byte[]> producer = PlayedProducer.of("prompt-replies", 1);
        ReplyTopic replies = new ReplyTopic("prompt-replies", producer, 1 << 20, () -> 1 << 20);
        PlayedLedger ledger = new PlayedLedger(settings, replies, producer::history);
        Confirmation confirmation = new Confirmation(ledger, PlayedRecovery.of(replies, producer));
        WebhookRecord record = TestRecords.announced("orders", "a", NOW);

        assertThat(confirmation.look(record, Duration.ZERO)).isEqualTo(Confirmation.Standing.OPEN);
        replies.send(new JobId("a"), TestRecords.MARK, new JobEvent.Cancelled(null, Map.of()), null)
                .get();
        assertThat(confirmation.look(record, Duration.ZERO)).isEqualTo(Confirmation.Standing.VALID);

        ledger.answersAfter(0);
        assertThat(confirmation.look(record, Duration.ZERO)).as("by the ledger").isEqualTo(Confirmation.Standing.VALID);
    }
}
