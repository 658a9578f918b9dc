package dev.penstock.api.connection;

import io.netty.bootstrap.ChannelInitializerExtension;
import io.netty.channel.Channel;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.time.Duration;

/**
 * Gives each connection that a caller opens its {@link ConnectionDeadline}. Netty finds this class as a service after
 * {@link #turnOn}. Vert.x has deadlines for silence only, and a request that comes a byte at a time is not silent.
 */
@RegisterForReflection
public final class ConnectionDeadlines extends ChannelInitializerExtension {
    private static volatile ConnectionDeadline.Times times =
            new ConnectionDeadline.Times(Duration.ofSeconds(10), Duration.ofMinutes(5), Duration.ofMinutes(1));

    /** Called before the first server is made. */
    public static void turnOn() {
        System.setProperty(EXTENSIONS_SYSTEM_PROPERTY, "serviceload");
    }

    /** For all connections from now on. */
    static void set(ConnectionDeadline.Times others) {
        times = others;
    }

    @Override
    public void postInitializeServerChildChannel(Channel channel) {
        channel.pipeline().addFirst(new ConnectionDeadline(times));
    }
}
