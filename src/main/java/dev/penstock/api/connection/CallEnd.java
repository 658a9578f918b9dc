package dev.penstock.api.connection;

import io.vertx.ext.web.RoutingContext;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tasks for the end of a call: answered, or its connection closed. A caller may leave before its call is served,
 * and a routing context forgets what is added to it after that. Thread-safe.
 */
public final class CallEnd {
    private static final String KEY = CallEnd.class.getName();

    /** Guarded by this; null: it has ended. */
    private @Nullable List<Runnable> tasks = new ArrayList<>();

    /** Called before anything else is done for the call. */
    static void follow(RoutingContext call) {
        CallEnd end = new CallEnd();
        call.put(KEY, end);
        call.addEndHandler(_ -> end.run());
    }

    /** Runs a task once, at the end of the call; at once where it has ended. */
    public static void then(RoutingContext call, Runnable task) {
        if (!(call.get(KEY) instanceof CallEnd end)) {
            call.addEndHandler(_ -> task.run());
        } else if (!end.add(task)) {
            task.run();
        }
    }

    /** Whether it has not ended. */
    synchronized boolean add(Runnable task) {
        return tasks != null && tasks.add(task);
    }

    void run() {
        List<Runnable> due;
        synchronized (this) {
            due = tasks == null ? List.of() : tasks;
            tasks = null;
        }
        due.forEach(Runnable::run);
    }
}
