package dev.penstock.node.models;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Runs a task once, after a delay. A task that fails ends no other task. */
public interface Later {
    void run(Duration delay, Runnable task);

    static Later onTimer() {
        return (delay, task) -> CompletableFuture.delayedExecutor(delay.toMillis(), TimeUnit.MILLISECONDS)
                .execute(task);
    }
}
