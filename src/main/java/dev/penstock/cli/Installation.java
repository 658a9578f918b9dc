package dev.penstock.cli;

import dev.penstock.wire.GroupNames;
import dev.penstock.wire.IntakeMode;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is configured here, by files and environment, as the service would read it.
 *
 * @param mistakes those that would stop the start
 * @param ports why the service cannot listen here; while it runs it has the ports itself
 * @param warnings what is configured and has no effect
 * @param api where the service would be reached
 * @param managementPort of the same host
 * @param kafka properties of the Kafka clients; empty: the brokers are not named
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
     * The topics, as the service needs them.
     *
     * @param areMade whether the service makes those that are missing
     * @param jobs names of the job topics
     */
    public record Topics(boolean areMade, List<String> jobs, String deferred, String settings, List<Topic> all) {
        public Topics {
            jobs = List.copyOf(jobs);
            all = List.copyOf(all);
        }
    }

    /**
     * A topic.
     *
     * @param atLeast partitions that it has to have
     * @param isOnlyPenstocks whether Penstock is its only writer
     * @param configs its settings
     */
    public record Topic(String name, int atLeast, boolean isOnlyPenstocks, Map<String, String> configs) {
        public Topic {
            configs = Map.copyOf(configs);
        }
    }

    /** A configured node. */
    public record Node(String name, String backend, String address, Look look) {}

    /** Asks a node's server how it is, within a few seconds. */
    public interface Look {
        Health look() throws InterruptedException;
    }

    /**
     * How a node is.
     *
     * @param words why it is not up, or what is wrong with its settings; empty: nothing
     */
    public record Health(State state, List<String> models, String words) {
        public Health {
            models = List.copyOf(models);
        }
    }

    /** Whether a node would take jobs. */
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

    /** Where nothing is known of a configuration. */
    static Installation unknown() {
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
