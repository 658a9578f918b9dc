package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.StopSignal;
import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Waiting;
import dev.penstock.ledger.PlayedLedger;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.reply.PlayedRecovery;
import dev.penstock.reply.Recovery;
import dev.penstock.settings.Rule;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a run finds out about its record before it runs. */
@Timeout(60)
class DuplicateCheckTest {
    private static final RecordPlace DEFERRED = new RecordPlace("prompt-jobs-deferred", 1, 5);

    private final RunRig rig = new RunRig(Map.of());
    private final PlayedLedger ledger = rig.ledger;
    private final StopSignal signal = new StopSignal();
    private final FakeDelivery delivery = new FakeDelivery();

    /** Two records of one id; the first one is the smaller. */
    private final TakenJob first = rig.named("llama", 0);

    private final TakenJob second = rig.named("llama", 1);

    private DuplicateCheck.Advice advise(TakenJob taken) throws InterruptedException {
        return advise(taken, rig.context);
    }

    private DuplicateCheck.Advice advise(TakenJob taken, RunContext context) throws InterruptedException {
        return new DuplicateCheck(taken, delivery, rig.replies(taken), signal, Rule.Handling.NONE, context).advise();
    }

    private void submitted(TakenJob... records) {
        for (TakenJob taken : records) {
            ledger.submitted(taken.job(), taken.stamp(), taken.bodyHash());
        }
    }

    private static Recovery.Known known(DuplicateCheck.Advice advice) {
        return Objects.requireNonNull(((DuplicateCheck.Advice.Run) advice).known());
    }

    @Test
    void the_first_delivery_of_a_record_with_an_id_of_its_own_runs_without_a_look_up() throws Exception {
        assertThat(advise(rig.job("llama"))).isEqualTo(new DuplicateCheck.Advice.Run(null));
    }

    @Test
    void a_first_record_with_a_chosen_id_runs() throws Exception {
        ledger.answersAfter(0);
        assertThat(advise(first)).isEqualTo(new DuplicateCheck.Advice.Run(null));

        submitted(first, second);
        assertThat(advise(first)).isEqualTo(new DuplicateCheck.Advice.Run(null));
    }

    @Test
    void a_redelivered_record_continues_what_the_ledger_knows() throws Exception {
        ledger.answersAfter(0);
        submitted(first);
        rig.otherStarts(first, 1, "a");
        delivery.redelivered = true;

        Recovery.Known known = known(advise(first));

        assertThat(known.reading().attempt()).isEqualTo(1);
        assertThat(known.firstStarted()).isEqualTo(rig.clock.instant());
        assertThat(known.runs().attempts()).containsExactly(1);
        assertThat(known.nextOffset()).isEqualTo(1);
    }

    @Test
    void a_redelivered_record_that_the_ledger_does_not_know_runs() throws Exception {
        ledger.answersAfter(0);
        delivery.redelivered = true;

        assertThat(known(advise(first)).reading().attempt()).isEqualTo(-1);
    }

    @Test
    void while_the_ledger_is_away_the_reply_topic_is_read() throws Exception {
        rig.otherStarts(first, 1, "a");
        delivery.redelivered = true;
        assertThat(known(advise(first)).reading().attempt()).isEqualTo(1);

        rig.otherEnds(first, 1, "a");
        assertThat(advise(first)).isEqualTo(new DuplicateCheck.Advice.Over());
    }

    @Test
    void while_the_ledger_is_away_a_duplicate_of_a_record_in_flight_is_deferred() throws Exception {
        rig.smallerInFlight = true;
        assertThat(advise(second)).isEqualTo(new DuplicateCheck.Advice.Defer());

        rig.otherStarts(first, 1, "a");
        rig.otherEnds(first, 1, "a");
        assertThat(advise(second))
                .as("it publishes the outcome once more when the ledger is back")
                .isEqualTo(new DuplicateCheck.Advice.Defer());
    }

    @Test
    void a_duplicate_of_an_open_job_is_deferred_and_counted_once() throws Exception {
        ledger.answersAfter(0);
        submitted(first, second);

        assertThat(advise(second)).isEqualTo(new DuplicateCheck.Advice.Defer());
        assertThat(rig.duplicates.count()).isEqualTo(1);
        assertThat(advise(RunRig.deferred(second, DEFERRED))).isEqualTo(new DuplicateCheck.Advice.Defer());
        assertThat(rig.duplicates.count()).isEqualTo(1);
    }

    @Test
    void a_duplicate_of_a_cancelled_job_runs_and_ends_it() throws Exception {
        ledger.answersAfter(0);
        submitted(first, second);
        signal.stop(StopSignal.Reason.CANCELLED);

        assertThat(advise(second)).isInstanceOf(DuplicateCheck.Advice.Run.class);
    }

    @Test
    void the_record_that_started_names_is_no_duplicate_while_its_job_is_open() throws Exception {
        ledger.answersAfter(0);
        submitted(first, second);
        rig.otherStarts(second, 1, "a");

        assertThat(known(advise(second)).reading().attempt()).isEqualTo(1);
        assertThat(advise(first)).isEqualTo(new DuplicateCheck.Advice.Defer());
    }

    @Test
    void another_body_under_a_known_id_is_refused() throws Exception {
        ledger.answersAfter(0);
        ledger.submitted(first.job(), first.stamp(), "another hash");
        submitted(second);

        JobFailure failure = ((DuplicateCheck.Advice.Refuse) advise(second)).failure();

        assertThat(failure.code()).isEqualTo(JobFailure.Code.ID_CONFLICT);
        assertThat(failure.message())
                .contains("job 'named' exists already", first.place().toString());
    }

    @Test
    void a_duplicate_of_a_closed_job_publishes_the_outcome_once_more() throws Exception {
        ledger.answersAfter(0);
        submitted(first, second);
        rig.otherStarts(first, 1, "a");
        rig.otherEnds(first, 1, "a");

        assertThat(advise(second)).isEqualTo(new DuplicateCheck.Advice.Over());

        assertThat(rig.names(first.job().id())).containsExactly("started 1", "cancelled 1", "cancelled 1");
        assertThat(rig.events(first.job().id()).getLast().at("/job/replayed").asBoolean())
                .isTrue();
    }

    @Test
    void a_large_outcome_is_read_until_the_ledger_answers() throws Exception {
        ledger.answersAfter(0);
        submitted(first, second);
        ledger.keepsOutcomesApart();
        rig.otherStarts(first, 1, "a");
        rig.otherEnds(first, 1, "a");

        assertThat(advise(second)).isEqualTo(new DuplicateCheck.Advice.Over());
        assertThat(rig.events(first.job().id()).getLast().at("/job/replayed").asBoolean())
                .isTrue();
    }

    @Test
    void an_outcome_that_is_forgotten_is_not_published_again() throws Exception {
        ledger.answersAfter(0);
        submitted(first, second);
        rig.otherStarts(first, 1, "a");
        rig.otherEnds(first, 1, "a");
        ledger.forgets();

        assertThat(advise(second)).isEqualTo(new DuplicateCheck.Advice.Over());
        assertThat(rig.names(first.job().id())).hasSize(2);
    }

    @Test
    void a_closed_job_of_the_same_record_is_over() throws Exception {
        ledger.answersAfter(0);
        submitted(first);
        rig.otherStarts(first, 1, "a");
        rig.otherEnds(first, 1, "a");
        delivery.redelivered = true;

        assertThat(advise(first)).isEqualTo(new DuplicateCheck.Advice.Over());
        assertThat(rig.names(first.job().id())).hasSize(2);
    }

    @Test
    void a_deferred_record_that_a_later_one_replaced_is_over() throws Exception {
        ledger.answersAfter(0);
        submitted(first);
        RecordStamp later = new RecordStamp(9, new RecordPlace(DEFERRED.topic(), 1, 6));
        ledger.deferred(
                first.job().id(), new Submissions.DeferredRecord(later, first.place(), 0, 0, Waiting.Code.SLOT));
        delivery.redelivered = true;

        assertThat(advise(RunRig.deferred(first, DEFERRED))).isEqualTo(new DuplicateCheck.Advice.Over());
    }

    @Test
    void a_look_up_that_fails_is_repeated_until_the_run_is_stopped() throws Exception {
        RunContext broken = rig.context(PlayedRecovery.failing(rig.replies));
        delivery.redelivered = true;
        CompletableFuture<DuplicateCheck.Advice> advice = new CompletableFuture<>();
        Thread thread = Thread.ofVirtual().start(() -> {
            try {
                advice.complete(advise(first, broken));
            } catch (InterruptedException e) {
                advice.completeExceptionally(e);
            }
        });

        signal.stop(StopSignal.Reason.SHUTDOWN);
        thread.join();

        assertThat(advice).isCompletedWithValue(new DuplicateCheck.Advice.Stop());
    }
}
