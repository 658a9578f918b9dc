package dev.penstock.api.connection;

import io.netty.bootstrap.ChannelInitializerExtension;
import io.netty.channel.Channel;
import io.quarkus.runtime.annotations.RegisterForReflection;
import java.time.Duration;

/**
 * Adds a {@link ConnectionDeadline} to each connection that a caller opens. After {@link #turnOn}, Netty loads this
 * class as a service. Vert.x only has timeouts for silent connections, and a connection is not silent if its request
 * comes one byte at a time.
 */
@RegisterForReflection
public final class ConnectionDeadlines extends ChannelInitializerExtension {
    private static volatile ConnectionDeadline.Times times =
            new ConnectionDeadline.Times(Duration.ofSeconds(10), Duration.ofMinutes(5), Duration.ofMinutes(1));

    /** Makes Netty load this class. Must be called before the first server is created. */
    public static void turnOn() {
        System.setProperty(EXTENSIONS_SYSTEM_PROPERTY, "serviceload");
    }

    /** Sets the times of all later connections. */
    static void set(ConnectionDeadline.Times others) {
        times = others;
    }

    @Override
    public void postInitializeServerChildChannel(Channel channel) {
        channel.pipeline().addFirst(new ConnectionDeadline(times));
    }
}
