package dev.penstock.schedule.slots;

/**
 * The share of a node's slots that is kept for direct calls. It counts only while both calls and jobs wait for the node.
 * Then calls get their share, and jobs get the rest, whatever the priorities are. So a backlog of jobs does not stop the
 * calls, and a flood of calls does not stop the jobs.
 *
 * <p>At a node with one slot, a call and a job take turns. With a share of 0, jobs always go first.
 *
 * @param share from 0 to 1
 */
public record CallShare(double share) {
    /** Rounding errors below this do not make the number of kept slots larger. */
    private static final double ROUNDING = 1e-9;

    /** Returns how many slots of a node are kept for calls. At least one of several slots remains for jobs. */
    public int kept(int slots) {
        return slots < 2 ? 0 : Math.min(slots - 1, (int) Math.ceil(share * slots - ROUNDING));
    }

    /**
     * Returns whether the next free slot of a node goes to a call. Otherwise it goes to a job.
     *
     * @param slots the number of requests that this replica may have at the node now
     * @param calls the number of calls that run at the node
     * @param lastWasCall whether the latest request that began at the node was a call
     */
    public boolean isForCalls(int slots, int calls, boolean lastWasCall) {
        return slots < 2 ? share > 0 && !lastWasCall : calls < kept(slots);
    }
}
