package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.job.Usage;
import dev.penstock.route.RouteKey;
import java.time.Duration;
import java.util.Map;
import java.util.Set;

/**
 * The entry of one run in the scheduler, for all attempts of the run. It takes one of the replica's slots together with
 * its first node, and holds that slot until the entry is closed. Thread-safe, but only one thread at a time may wait.
 */
public final class QueueEntry implements AutoCloseable {
    private final Scheduler scheduler;
    private final long turn;
    private final RouteKey key;
    private final long promptChars;
    private final Priority priority;
    private final String tenant;
    private final String topic;
    private final boolean deferredRecord;
    private final long due;
    /* Guarded by the scheduler's lock. */
    private boolean holdsSlot;
    private boolean stopped;

    QueueEntry(
            Scheduler scheduler,
            long turn,
            RouteKey key,
            long promptChars,
            Priority priority,
            String tenant,
            String topic,
            boolean deferredRecord,
            long due) {
        this.scheduler = scheduler;
        this.turn = turn;
        this.key = key;
        this.promptChars = promptChars;
        this.priority = priority;
        this.tenant = tenant;
        this.topic = topic;
        this.deferredRecord = deferredRecord;
        this.due = due;
    }

    /**
     * Waits for a node.
     *
     * @param avoid the nodes that the next attempt avoids
     * @param atMost the longest time to wait
     */
    public Admission await(Avoid avoid, Duration atMost) throws InterruptedException {
        return scheduler.await(this, avoid, atMost);
    }

    /**
     * Notes the tokens of an attempt that has ended. Until then, the job's tenant is charged an estimate.
     *
     * @param here the tokens that the node reported, and one for each piece of the answer if it reported none
     */
    public void used(Usage here) {
        scheduler.askTenants((tenants, now) -> {
            tenants.used(turn, here.promptTokens(), here.completionTokens(), now);
            return true;
        });
    }

    /** Ends the current wait and all later waits. */
    public void stop() {
        scheduler.stop(this);
    }

    /** Returns whether a node other than these is up and may serve the job. */
    public boolean hasOther(Set<String> failed) {
        return scheduler.hasOther(key, failed, true);
    }

    /** Returns whether a node other than these may serve the job, now or when it is up. */
    public boolean mayHaveOther(Set<String> closed) {
        return scheduler.hasOther(key, closed, false);
    }

    @Override
    public void close() {
        scheduler.close(this);
    }

    long turn() {
        return turn;
    }

    String topic() {
        return topic;
    }

    boolean isStopped() {
        return stopped;
    }

    void stopped() {
        stopped = true;
    }

    void takeSlot() {
        holdsSlot = true;
    }

    /**
     * Gives back the replica's slot.
     *
     * @return whether the entry held a slot
     */
    boolean giveBackSlot() {
        boolean held = holdsSlot;
        holdsSlot = false;
        return held;
    }

    Wait toWait(Set<String> useless, Map<String, Long> notBefore, long since, long end) {
        return new Wait(
                turn,
                key,
                promptChars,
                priority,
                tenant,
                topic,
                deferredRecord,
                holdsSlot,
                since,
                due,
                end,
                useless,
                notBefore);
    }
}
