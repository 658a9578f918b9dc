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
 * Signals to the deadline of a connection when a call on it begins, and when it has ended: it is answered, and all of
 * its body has come.
 */
@Singleton
public final class Calls {
    /** Before the filters that refuse calls: {@code api.call.CallGate} and {@code api.call.BodyBudget}. */
    private static final int BEFORE_ALL_OTHERS = 3_000;
    /** RFC 9113: the answer is complete, and the rest of the body is not wanted. */
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

    /** @param lingers for how long the rest of a body may come when its call is answered */
    public static void follow(RoutingContext call, Duration lingers) {
        if (call.get(FOLLOWED) != null) {
            // it was sent on to another path, and passes the filters once more
            call.next();
            return;
        }
        call.put(FOLLOWED, true);
        CallEnd.follow(call);
        if (call.request().connection() instanceof ConnectionBase connection) {
            Channel channel = connection.channel();
            ConnectionDeadline.began(channel, call.request().version() == HttpVersion.HTTP_2);
            // an answer may end on any thread; the events of the request come on this one
            call.addEndHandler(_ -> ConnectionDeadline.run(
                    channel, () -> dropRest(call, lingers, () -> ConnectionDeadline.ended(channel))));
        }
        call.next();
    }

    /**
     * Ends a call whose caller reads nothing; from any thread. The unsent part of the answer is dropped, and the call's
     * end is run.
     */
    public static void cut(RoutingContext call) {
        HttpServerRequest request = call.request();
        if (request.version() != HttpVersion.HTTP_2 && request.connection() instanceof ConnectionBase connection) {
            // a response that is reset does not run its end, and its connection is closed only behind the unsent part
            var _ = connection.channel().close();
        } else {
            var _ = request.response().reset(CANCEL);
        }
    }

    /**
     * The call is answered. The rest of its body is read and dropped, for a moment: a connection that is closed with
     * unread bytes is reset, and the client may see that in place of the answer.
     *
     * <p>Called on the connection's event loop.
     *
     * @param then runs when the call is complete
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
        // a handler alone would let the end come, after which none may be set
        request.pause()
                .handler(_ -> {})
                .endHandler(_ -> ended.run())
                .exceptionHandler(_ -> ended.run())
                .resume();
        if (request.isEnded()) {
            // its reader had paused it at its end, which comes only once
            ended.run();
        }
    }
}
