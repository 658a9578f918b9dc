package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.job.Usage;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.preempt.RunningAttempt;
import dev.penstock.schedule.slots.ReplicaSlots;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The entry of one run in the scheduler, for all attempts of the run. It takes one of the replica's slots together with
 * its first node, and holds that slot until the entry is closed. The entry of a direct call takes no slot of the replica.
 * Thread-safe, but only one thread at a time may wait.
 */
public final class QueueEntry implements AutoCloseable {
    private final Scheduler scheduler;
    private final long turn;
    private final RouteKey key;
    private final Demand demand;
    private final Priority priority;
    private final String tenant;
    private final String topic;
    private final boolean deferredRecord;
    private final long due;
    /* Guarded by the scheduler's lock. */
    private boolean holdsSlot;
    private boolean stopped;
    private int preemptions;
    private volatile boolean preempts;

    QueueEntry(
            Scheduler scheduler,
            long turn,
            RouteKey key,
            Demand demand,
            Priority priority,
            String tenant,
            String topic,
            boolean deferredRecord,
            long due) {
        this.scheduler = scheduler;
        this.turn = turn;
        this.key = key;
        this.demand = demand;
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

    /** Returns whether this is the entry of a direct call. */
    public boolean isCall() {
        return topic.equals(ReplicaSlots.NO_TOPIC);
    }

    /** Notes that the job may stop a running job of lower priority when it finds no free slot. */
    public void mayPreempt() {
        preempts = true;
    }

    /** Notes that an attempt of the run is running. The scheduler may ask it to stop until the returned handle is closed. */
    public Running runs(RunningAttempt attempt) {
        return scheduler.runs(this, attempt);
    }

    /** The handle of a running attempt. Closing it ends the attempt for the scheduler. */
    public interface Running extends AutoCloseable {
        @Override
        void close();
    }

    /** Notes that an attempt has stopped because it was asked to. The run waits again, with its old turn. */
    public void preempted(RunningAttempt attempt) {
        scheduler.preempted(this, attempt);
    }

    /**
     * Takes a free slot of another node for a second request of the running attempt, without waiting. Waiting jobs go
     * first: a node that any job waits for has no slot to spare.
     *
     * @param avoid the nodes at which the job failed
     * @param first the node of the first request
     * @return empty if there is no such slot
     */
    public Optional<Admission.Granted> spare(Avoid avoid, String first) {
        return scheduler.spare(this, avoid, first);
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

    /** Returns the nodes that may serve the job, now or later, in any state. */
    public List<Node> candidates() {
        return scheduler.candidates(key);
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

    Priority priority() {
        return priority;
    }

    boolean preempts() {
        return preempts;
    }

    int preemptions() {
        return preemptions;
    }

    void countPreemption() {
        preemptions++;
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
                demand,
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
