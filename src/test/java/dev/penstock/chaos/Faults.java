package dev.penstock.chaos;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/** Injects faults into an installation, one after the other. Each is over, or undone, when its method returns. */
final class Faults {
    private final Installation installation;
    private final Random random;
    private final Map<Kind, Integer> done = new EnumMap<>(Kind.class);

    private enum Kind {
        REPLICA_KILLED,
        REPLICA_STOPPED,
        BROKER_KILLED,
        NODE_DIED,
        NODE_HUNG,
        NODE_SLOW,
        DATABASE_FROZEN,
        DATABASE_KILLED
    }

    Faults(Installation installation, long seed) {
        this.installation = installation;
        random = new Random(seed);
    }

    /** Injects one more fault, and waits a moment. */
    void next() throws InterruptedException {
        // first each kind once, then random ones, so that a short run has every kind
        Kind kind = done.size() < Kind.values().length
                ? Kind.values()[done.size()]
                : Kind.values()[random.nextInt(Kind.values().length)];
        done.merge(kind, 1, Integer::sum);
        System.out.printf(
                Locale.ROOT, "  %s%n", kind.name().toLowerCase(Locale.ROOT).replace('_', ' '));
        Installation.Node node = installation.node(random.nextInt(Installation.NODES));
        switch (kind) {
            case REPLICA_KILLED ->
                installation.killReplica(random.nextInt(installation.replicas().size()));
            case REPLICA_STOPPED ->
                installation.stopReplica(random.nextInt(installation.replicas().size()));
            case BROKER_KILLED -> installation.killBroker();
            case NODE_DIED -> {
                node.server.stop();
                lasting();
                node.server.restart();
            }
            case NODE_HUNG -> {
                node.hangs = true;
                lasting();
                node.hangs = false;
            }
            case NODE_SLOW -> {
                node.slowness = 10;
                lasting();
                node.slowness = 1;
            }
            case DATABASE_FROZEN -> {
                installation.postgres().freeze();
                lasting();
                installation.postgres().thaw();
            }
            case DATABASE_KILLED -> {
                installation.postgres().kill();
                lasting();
                installation.postgres().restart();
            }
        }
        lasting();
    }

    private void lasting() throws InterruptedException {
        TimeUnit.MILLISECONDS.sleep(500 + random.nextInt(4_000));
    }

    @Override
    public String toString() {
        return done.toString().toLowerCase(Locale.ROOT);
    }
}
