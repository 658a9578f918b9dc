package dev.penstock.direct;

import dev.penstock.execution.ExecutionContext;
import dev.penstock.job.PromptJob;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.match.Decision;
import dev.penstock.route.match.Rules;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.Settings;
import io.opentelemetry.context.Context;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jboss.logging.Logger;

/** Starts the direct calls of this replica, and drains them. Thread-safe. */
@Singleton
public final class CallsInFlight {
    private static final Logger LOG = Logger.getLogger(CallsInFlight.class);
    /** A call has no topic. */
    private static final String NO_TOPIC = "";

    private static final Duration STOPS_WITHIN = Duration.ofSeconds(5);

    private final Scheduler scheduler;
    private final Rules rules;
    private final ExecutionContext context;
    private final CallRoom room;
    private final Set<Running> calls = ConcurrentHashMap.newKeySet();
    private volatile boolean draining;

    /** A call in flight. The latch opens when its thread ends. */
    private record Running(DirectCall call, CountDownLatch ended) {}

    public CallsInFlight(Scheduler scheduler, ExecutionContext context) {
        this.scheduler = scheduler;
        this.context = context.atOnce();
        rules = new Rules(context.settings());
        room = new CallRoom(context.settings().api().allStreamsBytes());
    }

    /**
     * Starts a call. While this replica drains, the call fails at once.
     *
     * @param parent the trace of the caller
     * @param whenEnded receives the outcome of a call that was not refused
     */
    public DirectCall start(PromptJob job, Context parent, DirectCall.Ended whenEnded) {
        Decision decision = rules.decide(job, NO_TOPIC, Conditions.Source.OPENAI);
        DirectCall call = new DirectCall(job, decision, context, room, whenEnded);
        Running running = new Running(call, new CountDownLatch(1));
        calls.add(running);
        if (draining) {
            calls.remove(running);
            running.ended().countDown();
            call.refuse(DirectCall.STOPPING);
            return call;
        }
        // if the thread ends unexpectedly, the call fails with it and nothing else waits for it
        Thread.ofVirtual().name("call").start(() -> {
            try {
                call.run(parent, () -> enter(job, decision));
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            } finally {
                calls.remove(running);
                running.ended().countDown();
            }
        });
        return call;
    }

    private QueueEntry enter(PromptJob job, Decision decision) {
        Settings settings = context.settings();
        return scheduler.enterCall(
                RouteKey.of(job, decision),
                Demand.of(job, decision.rule(), settings.parameters()),
                decision.priority(job),
                job.tenant(),
                job.deadline());
    }

    /** Returns the number of calls in flight. */
    public int size() {
        return calls.size();
    }

    /** Refuses all calls from now on. The calls in flight go on. */
    public void stopTaking() {
        draining = true;
    }

    /** Waits until the calls in flight have ended. After the given time it ends the remaining calls. */
    public void drain(Duration atMost) throws InterruptedException {
        stopTaking();
        if (!awaitEnds(atMost)) {
            LOG.warnf("%d calls have not ended within penstock.drain.timeout: they fail", calls.size());
            calls.forEach(running -> running.call().stop());
            var _ = awaitEnds(STOPS_WITHIN);
        }
    }

    private boolean awaitEnds(Duration atMost) throws InterruptedException {
        long end = System.nanoTime() + atMost.toNanos();
        for (Running running : List.copyOf(calls)) {
            if (!running.ended().await(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS)) {
                return false;
            }
        }
        return true;
    }
}
