package dev.penstock.testkit;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;

/** The broker's own figure of the unfinished records of a share group. */
public final class ShareLag {
    private ShareLag() {}

    public static long of(Admin admin, String group) throws InterruptedException {
        try {
            var offsets = admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                    .partitionsToOffsetInfo(group)
                    .get();
            return offsets.values().stream()
                    .mapToLong(info -> info == null ? 0 : info.lag().orElse(0L))
                    .sum();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    /** Waits until the lag is zero. */
    public static void awaitNone(Admin admin, String group, Duration patience) throws InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        long lag = of(admin, group);
        while (lag != 0) {
            if (System.nanoTime() > until) {
                throw new AssertionError("%s still has a lag of %d after %s".formatted(group, lag, patience));
            }
            Thread.sleep(50);
            lag = of(admin, group);
        }
    }
}
