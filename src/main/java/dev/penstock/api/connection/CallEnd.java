package dev.penstock.api.connection;

import io.vertx.ext.web.RoutingContext;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Runs tasks at the end of a call: when it is answered, or when its connection is closed. A caller may leave before its
 * call is served. After that, a routing context ignores new end handlers, but this class runs their tasks at once.
 * Thread-safe.
 */
public final class CallEnd {
    private static final String KEY = CallEnd.class.getName();

    /** Guarded by this. Null after the call has ended. */
    private @Nullable List<Runnable> tasks = new ArrayList<>();

    /** Follows a call. Must be called before any other work for the call. */
    static void follow(RoutingContext call) {
        CallEnd end = new CallEnd();
        call.put(KEY, end);
        call.addEndHandler(_ -> end.run());
    }

    /** Runs a task once: at the end of the call, or at once if the call has ended. */
    public static void then(RoutingContext call, Runnable task) {
        if (!(call.get(KEY) instanceof CallEnd end)) {
            call.addEndHandler(_ -> task.run());
        } else if (!end.add(task)) {
            task.run();
        }
    }

    /** Adds a task. Returns false if the call has ended. */
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
