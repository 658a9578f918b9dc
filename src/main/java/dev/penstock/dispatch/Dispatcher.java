package dev.penstock.dispatch;

import dev.penstock.job.JobId;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.random.RandomGenerator;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** The jobs in this replica's hand. Each runs on the virtual thread that calls {@link #run}. */
@Singleton
public class Dispatcher {
    private static final Logger LOG = Logger.getLogger(Dispatcher.class);
    private static final int RUN_ID_LENGTH = 10;

    private final ReplyTopic topic;
    private final CancelCommands commands;
    private final RunContext context;
    private final RandomGenerator random = new SecureRandom();
    private final Map<RecordPlace, InHand> inHand = new ConcurrentHashMap<>();

    private record InHand(JobRun run, CompletableFuture<@Nullable Void> ended) {}

    public Dispatcher(
            ReplyTopic topic,
            CancelCommands commands,
            Line line,
            Recovery recovery,
            Settings settings,
            Clock clock,
            MeterRegistry meters) {
        this.topic = topic;
        this.commands = commands;
        context = new RunContext(line, recovery, commands, settings, clock, meters);
    }

    /** Begins to follow the commands; returns when all that are there now are known. */
    public void start() throws InterruptedException {
        commands.follow(this::cancel);
    }

    /**
     * Runs a job to its end, or until it is stopped. A run of the same record that this replica still has, after it lost
     * its lock, is ended first.
     *
     * @param traceparent of the job's producer; null where there is none
     */
    public void run(PromptJob job, RecordPlace record, Hold hold, byte @Nullable [] traceparent)
            throws InterruptedException {
        InHand own = new InHand(
                new JobRun(job, record, hold, new JobReplies(topic, job.id(), runId(), traceparent), context),
                new CompletableFuture<>());
        InHand before;
        while ((before = inHand.putIfAbsent(record, own)) != null) {
            before.run().stop(StopSignal.Reason.LOCK_LOST);
            before.ended().join();
        }
        try {
            own.run().run();
        } catch (RuntimeException e) {
            LOG.errorf(e, "job=%s record=%s the run ended without a word; the record comes again", job.id(), record);
        } finally {
            inHand.remove(record, own);
            own.ended().complete(null);
        }
    }

    /** The record's lock is lost: whoever runs it here stops. */
    public void lockLost(RecordPlace record) {
        InHand running = inHand.get(record);
        if (running != null) {
            running.run().stop(StopSignal.Reason.LOCK_LOST);
        }
    }

    private void cancel(JobId id) {
        inHand.values().stream()
                .filter(job -> job.run().job().id().equals(id))
                .forEach(job -> job.run().stop(StopSignal.Reason.CANCELLED));
    }

    /** Waits for the jobs in hand to end; those that have not by then are stopped without a word. */
    public void drain(Duration atMost) throws InterruptedException {
        CompletableFuture<?> all = CompletableFuture.allOf(
                inHand.values().stream().map(InHand::ended).toArray(CompletableFuture[]::new));
        try {
            all.get(atMost.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException _) {
            LOG.warnf("%d jobs have not ended within the drain timeout: another replica takes them", inHand.size());
            inHand.values().forEach(job -> job.run().stop(StopSignal.Reason.SHUTDOWN));
        } catch (ExecutionException e) {
            throw new AssertionError("runs never end exceptionally", e);
        }
    }

    /** How many jobs are in this replica's hand, waiting or running. */
    public int size() {
        return inHand.size();
    }

    private String runId() {
        StringBuilder id = new StringBuilder(RUN_ID_LENGTH);
        for (int i = 0; i < RUN_ID_LENGTH; i++) {
            id.append(Character.forDigit(random.nextInt(36), 36));
        }
        return id.toString();
    }
}
