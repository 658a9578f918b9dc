package dev.penstock.dispatch;

import dev.penstock.job.Waiting;
import dev.penstock.route.RouteKey;
import dev.penstock.schedule.Delay;
import org.jspecify.annotations.Nullable;

/**
 * How long a job is deferred, and why.
 *
 * @param why the reason for the wait
 * @param routeKey the route key of a job that waits for its nodes; null if it waits for something else
 */
public record Deferral(
        Delay delay, Waiting.Code why, @Nullable RouteKey routeKey) {
    /** Any replica may take the job again at once. */
    public static final Deferral HANDED_BACK = new Deferral(Delay.NONE, Waiting.Code.DEFERRED, null);

    static final Deferral DUPLICATE = new Deferral(Delay.SHORT, Waiting.Code.DUPLICATE, null);
    static final Deferral QUARANTINED = new Deferral(Delay.SHORT, Waiting.Code.QUARANTINED, null);
    private static final Deferral BROKEN_AGAIN = new Deferral(Delay.MEDIUM, Waiting.Code.QUARANTINED, null);

    /**
     * Returns the deferral after an unexpected exception. The delay before the last run is longer, because the fault
     * may end in the meantime.
     *
     * @param runs the number of runs that an unexpected exception ended
     */
    public static Deferral broken(int runs) {
        return runs < Quarantine.POISON - 1 ? QUARANTINED : BROKEN_AGAIN;
    }
}
