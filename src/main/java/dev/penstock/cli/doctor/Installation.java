package dev.penstock.cli.doctor;

import dev.penstock.cli.rest.RestOptions;
import dev.penstock.wire.record.GroupNames;
import dev.penstock.wire.record.IntakeMode;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The local configuration, from files and the environment, as the service would read it.
 *
 * @param mistakes the mistakes that would prevent the service from starting
 * @param ports for each port that is not free, why the service cannot listen on it; a running service occupies its
 *     ports itself
 * @param warnings warnings about configured values that have no effect
 * @param api the address of the service's REST API
 * @param managementPort the port of the service's management interface, on the same host
 * @param kafka the properties of the Kafka clients; empty if no brokers are configured
 * @param ledgerPlace the file or the URL of the ledger
 */
public record Installation(
        List<String> mistakes,
        List<String> ports,
        List<String> warnings,
        String api,
        int managementPort,
        Map<String, String> kafka,
        GroupNames groups,
        Optional<IntakeMode> mode,
        Topics topics,
        String ledgerKind,
        String ledgerPlace,
        List<Node> nodes) {

    /**
     * The topics that the service needs.
     *
     * @param areMade whether the service creates missing topics
     * @param jobs the names of the job topics
     */
    public record Topics(boolean areMade, List<String> jobs, String deferred, String settings, List<Topic> all) {
        public Topics {
            jobs = List.copyOf(jobs);
            all = List.copyOf(all);
        }
    }

    /**
     * One topic that the service needs.
     *
     * @param atLeast the smallest allowed number of partitions
     * @param isOnlyPenstocks whether Penstock is its only writer
     * @param configs the topic settings that Penstock expects
     */
    public record Topic(String name, int atLeast, boolean isOnlyPenstocks, Map<String, String> configs) {
        public Topic {
            configs = Map.copyOf(configs);
        }
    }

    /** A configured node. */
    public record Node(String name, String backend, String address, Lookup look) {}

    /** Probes a node's server, within a few seconds. */
    public interface Lookup {
        Health look() throws InterruptedException;
    }

    /**
     * The health of a node.
     *
     * @param words why the node is not up, or what is wrong with its settings; empty if nothing is wrong
     */
    public record Health(State state, List<String> models, String words) {
        public Health {
            models = List.copyOf(models);
        }
    }

    /** Whether a node can take jobs. */
    public enum State {
        UP,
        LOADING,
        DOWN
    }

    public Installation {
        mistakes = List.copyOf(mistakes);
        ports = List.copyOf(ports);
        warnings = List.copyOf(warnings);
        kafka = Map.copyOf(kafka);
        nodes = List.copyOf(nodes);
    }

    /** Returns an installation whose configuration is unknown. */
    public static Installation unknown() {
        return new Installation(
                List.of(),
                List.of(),
                List.of(),
                RestOptions.DEFAULT_URL,
                9000,
                Map.of(),
                new GroupNames(""),
                Optional.empty(),
                new Topics(true, List.of("prompt-jobs"), "prompt-jobs-deferred", "penstock-settings", List.of()),
                "sqlite",
                "data/penstock.db",
                List.of());
    }
}
