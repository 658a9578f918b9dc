package dev.penstock.api;

import dev.penstock.settings.Settings;
import io.netty.channel.Channel;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.impl.ConnectionBase;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;

/** Tells the deadline of a connection when a call on it begins and ends. */
@Singleton
final class Calls {
    private static final int BEFORE_ALL_OTHERS = 2_000;

    Calls(Settings settings) {
        Settings.Api api = settings.api();
        ConnectionDeadlines.set(new ConnectionDeadline.Times(api.header(), api.idle(), api.answer()));
    }

    void register(@Observes Filters filters) {
        filters.register(this::follow, BEFORE_ALL_OTHERS);
    }

    private void follow(RoutingContext call) {
        if (call.request().connection() instanceof ConnectionBase connection) {
            Channel channel = connection.channel();
            ConnectionDeadline.began(channel, call.request().version() == HttpVersion.HTTP_2);
            call.addEndHandler(_ -> ConnectionDeadline.ended(channel));
        }
        call.next();
    }
}
