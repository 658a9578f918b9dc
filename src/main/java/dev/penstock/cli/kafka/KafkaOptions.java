package dev.penstock.cli.kafka;

import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.RestOptions;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.CommonClientConfigs;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options with which a command uses Kafka instead of REST. */
public final class KafkaOptions {
    @Option(
            names = "--kafka",
            paramLabel = "BROKERS",
            description = "over Kafka in place of REST: the brokers, as host:port,…")
    private @Nullable String brokers;

    @Option(
            names = "--kafka-config",
            paramLabel = "FILE",
            description = "further properties for the Kafka clients, such as security.protocol")
    private @Nullable Path config;

    /** Returns the access to Kafka; null if the command uses REST. */
    public @Nullable KafkaAccess access(RestOptions rest) throws Problem {
        if (brokers == null) {
            if (config != null) {
                throw Problem.usage("--kafka-config goes with --kafka only");
            }
            return null;
        }
        if (rest.isGiven()) {
            throw Problem.usage("--kafka and --url: one way or the other");
        }
        return new KafkaAccess(brokers, config == null ? Map.of() : properties(config));
    }

    /**
     * Returns the access to the brokers from the command line or, without them, from the configuration; null if neither
     * has brokers.
     *
     * @param configured the configured properties of the service's clients
     */
    public @Nullable KafkaAccess access(Map<String, String> configured) throws Problem {
        Map<String, Object> more = new HashMap<>(configured);
        Object servers = more.remove(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG);
        if (config != null) {
            more.putAll(properties(config));
        }
        String chosen = brokers == null && servers != null ? servers.toString() : brokers;
        return chosen == null ? null : new KafkaAccess(chosen, more);
    }

    private static Map<String, Object> properties(Path file) throws Problem {
        Properties read = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            read.load(reader);
        } catch (IOException | IllegalArgumentException e) {
            throw Problem.usage("--kafka-config: %s cannot be read (%s)".formatted(file, e));
        }
        Map<String, Object> properties = new HashMap<>();
        read.stringPropertyNames().forEach(name -> properties.put(name, read.getProperty(name)));
        return properties;
    }
}
