package dev.penstock.api.connection;

import dev.penstock.settings.Settings;
import io.netty.channel.Channel;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.impl.ConnectionBase;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.time.Duration;

/**
 * Reports the beginning and the end of each call to the deadline of its connection. A call has ended when it is
 * answered and its whole body has come.
 */
@Singleton
public final class Calls {
    /**
     * The order of this filter. It comes before the filters that refuse calls: {@code api.call.CallGate} and {@code
     * api.call.BodyBudget}.
     */
    private static final int BEFORE_ALL_OTHERS = 3_000;
    /** HTTP/2's error code for a complete answer to a request whose remaining body is not needed (RFC 9113). */
    private static final long NO_ERROR = 0;

    private static final long CANCEL = 8;

    private static final Duration LINGERS = Duration.ofSeconds(5);
    private static final String FOLLOWED = Calls.class.getName();

    Calls(Settings settings) {
        Settings.Api api = settings.api();
        ConnectionDeadlines.set(new ConnectionDeadline.Times(api.header(), api.idle(), api.answer()));
    }

    void register(@Observes Filters filters) {
        filters.register(Calls::follow, BEFORE_ALL_OTHERS);
    }

    private static void follow(RoutingContext call) {
        follow(call, LINGERS);
    }

    /** @param lingers how long the rest of a body may take after its call is answered */
    public static void follow(RoutingContext call, Duration lingers) {
        if (call.get(FOLLOWED) != null) {
            // the call was rerouted to another path, and passes the filters once more
            call.next();
            return;
        }
        call.put(FOLLOWED, true);
        CallEnd.follow(call);
        if (call.request().connection() instanceof ConnectionBase connection) {
            Channel channel = connection.channel();
            ConnectionDeadline.began(channel, call.request().version() == HttpVersion.HTTP_2);
            // an answer may end on any thread, but the request's events come on the event loop, so dropRest runs on
            // it
            call.addEndHandler(_ -> ConnectionDeadline.run(
                    channel, () -> dropRest(call, lingers, () -> ConnectionDeadline.ended(channel))));
        }
        call.next();
    }

    /**
     * Ends a call whose caller reads nothing. The unsent part of the answer is dropped, and the tasks for the end of
     * the call run. Any thread may call this method.
     */
    public static void cut(RoutingContext call) {
        HttpServerRequest request = call.request();
        if (request.version() != HttpVersion.HTTP_2 && request.connection() instanceof ConnectionBase connection) {
            // in HTTP/1, a reset would not run the tasks for the end of the call, and would close the connection only
            // after it has sent the unsent part
            var _ = connection.channel().close();
        } else {
            var _ = request.response().reset(CANCEL);
        }
    }

    /**
     * Reads and drops the rest of the body of an answered call, for a limited time. If a connection is closed while it
     * has unread bytes, TCP resets it, and the client may see the reset instead of the answer.
     *
     * <p>Runs on the connection's event loop.
     *
     * @param then the task to run when the call is complete
     */
    private static void dropRest(RoutingContext call, Duration lingers, Runnable then) {
        HttpServerRequest request = call.request();
        if (request.isEnded()) {
            then.run();
            return;
        }
        if (request.version() == HttpVersion.HTTP_2) {
            var _ = request.response().reset(NO_ERROR);
            then.run();
            return;
        }
        long closes = call.vertx().setTimer(lingers.toMillis(), _ -> {
            var _ = request.connection().close();
        });
        Runnable ended = () -> {
            if (call.vertx().cancelTimer(closes)) {
                then.run();
            }
        };
        // without the pause, the request may end after the first handler is set, and then the next handler cannot be
        // set
        request.pause()
                .handler(_ -> {})
                .endHandler(_ -> ended.run())
                .exceptionHandler(_ -> ended.run())
                .resume();
        if (request.isEnded()) {
            // the request reports its end only once. If it did so before these handlers were set, it does not call
            // them
            ended.run();
        }
    }
}
