package dev.penstock.node;

import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.MeterRegistry;
import io.vertx.core.Vertx;
import java.time.Clock;

/** The configured nodes over real connections, without a service. */
public final class RealNodes extends Nodes implements AutoCloseable {
    public RealNodes(Settings settings, Vertx vertx, MeterRegistry meters) {
        super(settings, vertx, Clock.systemUTC(), meters, 0);
        start();
    }

    @Override
    public void close() {
        super.close();
    }
}
