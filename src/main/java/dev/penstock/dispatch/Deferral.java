package dev.penstock.dispatch;

import dev.penstock.job.Waiting;
import dev.penstock.schedule.Delay;
import dev.penstock.schedule.RouteKey;
import org.jspecify.annotations.Nullable;

/**
 * How a job is deferred.
 *
 * @param why what it waits for
 * @param routeKey null: it does not wait for its nodes
 */
public record Deferral(
        Delay delay, Waiting.Code why, @Nullable RouteKey routeKey) {
    /** Any replica may take the job again at once. */
    public static final Deferral HANDED_BACK = new Deferral(Delay.NONE, Waiting.Code.DEFERRED, null);

    static final Deferral DUPLICATE = new Deferral(Delay.SHORT, Waiting.Code.DUPLICATE, null);
    static final Deferral QUARANTINED = new Deferral(Delay.SHORT, Waiting.Code.QUARANTINED, null);
    private static final Deferral BROKEN_AGAIN = new Deferral(Delay.MEDIUM, Waiting.Code.QUARANTINED, null);

    /**
     * @param runs the number of runs that an unexpected exception ended; the fault may pass, so the last try comes
     *     later
     */
    public static Deferral broken(int runs) {
        return runs < Quarantine.POISON - 1 ? QUARANTINED : BROKEN_AGAIN;
    }
}
