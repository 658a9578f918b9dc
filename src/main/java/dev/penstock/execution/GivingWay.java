package dev.penstock.execution;

import dev.penstock.execution.call.Hedge;
import dev.penstock.execution.call.NodeCall;
import dev.penstock.job.PromptJob;
import dev.penstock.schedule.preempt.RunningAttempt;
import org.jspecify.annotations.Nullable;

/**
 * How an attempt gives way to a second request, and to another job. It stops for another job only where its answer can
 * go on later: before its first token, or after text that the node could continue. Not thread-safe: the thread of the
 * run owns it.
 */
final class GivingWay {
    private final Hedge hedge;
    private final RunningAttempt running;
    private final ContinuePlan plan;
    private final boolean preemptible;
    private boolean canGoOn;
    private @Nullable Long meanTokens;

    /**
     * @param running the attempt as the scheduler sees it
     * @param plan knows where the answer can go on
     * @param preemptible whether any job may stop the attempt
     */
    GivingWay(Hedge hedge, RunningAttempt running, ContinuePlan plan, boolean preemptible) {
        this.hedge = hedge;
        this.running = running;
        this.plan = plan;
        this.preemptible = preemptible;
    }

    Hedge hedge() {
        return hedge;
    }

    /** Notes that the attempt reads the answer to this request from now on. */
    void opened(NodeCall call, PromptJob job) {
        if (preemptible) {
            canGoOn = plan.mayContinueAt(call.node(), job, call.model());
            meanTokens = call.node().pace().meanTokens();
            running.movedTo(call.node().name());
            running.wakeBy(call::wake);
        }
    }

    /** Reports the progress of the answer to the scheduler. */
    void wrote(NodeCall call, Transcript transcript, boolean hasSpoken) {
        if (preemptible) {
            running.wrote(call.limit(), meanTokens, transcript.pieces(), transcript.tokens());
            running.mayStop(!hasSpoken || (canGoOn && transcript.isContinuable()));
        }
    }

    /** Returns whether the attempt stops for another job now. Inside a code point, it reads on first. */
    boolean stopsNow(Transcript transcript, boolean hasSpoken) {
        return running.isAsked() && (!hasSpoken || (canGoOn && transcript.mayPause()));
    }
}
