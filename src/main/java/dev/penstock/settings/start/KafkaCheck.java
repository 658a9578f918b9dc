package dev.penstock.settings.start;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.wire.Nearest;
import dev.penstock.wire.Reason;
import io.smallrye.config.SmallRyeConfig;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigDef;

/** Checks the configuration of Kafka: the addresses, and the values of {@code kafka.*}. It calls no broker. */
final class KafkaCheck {
    private static final String SERVERS = "bootstrap.servers";
    private static final Pattern ADDRESS = Pattern.compile(
            "(?:[A-Za-z][A-Za-z0-9_]*://)?(?:\\[(?<six>[0-9A-Fa-f:.%]+)\\]|(?<host>[^:/\\s\\[\\]]+)):(?<port>\\d{1,5})");
    private static final List<ConfigDef> DEFINITIONS =
            List.of(AdminClientConfig.configDef(), ProducerConfig.configDef(), ConsumerConfig.configDef());

    /**
     * The maximum number of typing mistakes in a misspelt key. It is small, because other programs have variables that
     * begin with KAFKA_ too.
     */
    private static final int TYPING_MISTAKES = 2;

    private final Map<String, String> given = new HashMap<>();
    /** The keys from a file or an argument. */
    private final Set<String> written = new TreeSet<>();

    private final Consumer<String> mistakes;

    KafkaCheck(SmallRyeConfig config, Map<String, String> environment, Consumer<String> mistakes) {
        this.mistakes = mistakes;
        environment.forEach((variable, value) -> {
            if (variable.startsWith("KAFKA_")) {
                given.put(
                        variable.substring("KAFKA_".length())
                                .toLowerCase(Locale.ROOT)
                                .replace('_', '.'),
                        value);
            }
        });
        for (String name : config.getPropertyNames()) {
            String value =
                    name.startsWith("kafka.") ? config.getConfigValue(name).getValue() : null;
            if (value != null) {
                String key = name.substring("kafka.".length()).replace("\"", "");
                given.put(key, value);
                if (config.getConfigValue(name).getSourceOrdinal() != SettingsInForce.ENVIRONMENT) {
                    written.add(key);
                }
            }
        }
    }

    /** Returns the configured properties of the Kafka clients. */
    Map<String, String> given() {
        return Map.copyOf(given);
    }

    /** Returns one sentence for each key that Kafka's clients do not know. */
    List<String> unknown() {
        Set<String> known = new TreeSet<>();
        DEFINITIONS.forEach(definition -> known.addAll(definition.names()));
        List<String> unknown = new ArrayList<>();
        for (String name : new TreeSet<>(given.keySet())) {
            if (known.contains(name)) {
                continue;
            }
            if (written.contains(name)) {
                unknown.add("%s: Kafka's clients have no such key. Did you mean %s?"
                        .formatted(key(name), key(Nearest.of(name, known).orElse(""))));
            } else {
                Nearest.within(TYPING_MISTAKES, name, known)
                        .ifPresent(nearest -> unknown.add(
                                "the variable %s has no effect: Kafka's clients have no such key. Did you mean %s?"
                                        .formatted(variable(name), variable(nearest))));
            }
        }
        return unknown;
    }

    private static String variable(String name) {
        return "KAFKA_" + name.replace('.', '_').toUpperCase(Locale.ROOT);
    }

    void look() {
        boolean reachable = addresses();
        boolean valid = values();
        if (reachable && valid) {
            client();
        }
    }

    /** Checks the addresses. As for Kafka's clients, one address that resolves is enough. */
    private boolean addresses() {
        String servers = given.getOrDefault(SERVERS, KafkaClients.DEFAULT_SERVERS);
        List<String> unresolved = new ArrayList<>();
        boolean any = false;
        boolean valid = true;
        for (String address : servers.split(",", -1)) {
            Matcher parts = ADDRESS.matcher(address.strip());
            if (!parts.matches() || Integer.parseInt(parts.group("port")) > 65_535) {
                mistake(
                        SERVERS,
                        "'%s' is not an address: expected host:port, such as localhost:9092"
                                .formatted(address.strip()));
                valid = false;
                continue;
            }
            String host = parts.group("six") == null ? parts.group("host") : parts.group("six");
            try {
                var _ = InetAddress.getByName(host);
                any = true;
            } catch (UnknownHostException _) {
                unresolved.add(host);
            }
        }
        if (!any && !unresolved.isEmpty()) {
            mistake(
                    SERVERS,
                    "the host name %s is not known. Correct it: KAFKA_BOOTSTRAP_SERVERS=host:port"
                            .formatted(String.join(", ", unresolved)));
        }
        return any && valid;
    }

    private boolean values() {
        Set<String> found = new TreeSet<>();
        Map<String, String> values = new HashMap<>(given);
        values.putIfAbsent(SERVERS, KafkaClients.DEFAULT_SERVERS);
        for (ConfigDef definition : DEFINITIONS) {
            Map<String, String> known = new HashMap<>(values);
            known.keySet().retainAll(definition.names());
            definition.validateAll(known).forEach((name, value) -> {
                if (given.containsKey(name) && !name.equals(SERVERS)) {
                    value.errorMessages()
                            .forEach(words -> found.add("%s: %s".formatted(key(name), worded(name, words))));
                }
            });
        }
        found.forEach(mistakes);
        return found.isEmpty();
    }

    private static String worded(String name, String words) {
        return Reason.plain(words)
                .replaceFirst("^Invalid value (.*) for configuration " + Pattern.quote(name) + ":? ?", "'$1': ")
                .replaceFirst(": $", " is not a valid value");
    }

    /** A constant, because a logger without a reference would lose its level. */
    private static final Logger OF_CLIENTS = Logger.getLogger("org.apache.kafka");

    /**
     * Creates a client, because only a client finds some mistakes, such as a missing key store or a mechanism that does
     * not fit.
     */
    private void client() {
        Map<String, Object> properties = KafkaClients.withDefaults(given);
        // a client logs all its settings at INFO
        OF_CLIENTS.setLevel(Level.WARNING);
        try (Admin admin = Admin.create(properties)) {
            admin.close(Duration.ZERO);
        } catch (KafkaException e) {
            Throwable deepest = e;
            while (deepest.getCause() != null) {
                deepest = deepest.getCause();
            }
            String words = Reason.of(deepest);
            String key = given.keySet().stream()
                    .filter(name -> words.contains(name))
                    .findFirst()
                    .orElseGet(() -> given.entrySet().stream()
                            .filter(entry -> entry.getValue().length() > 3 && words.contains(entry.getValue()))
                            .map(Map.Entry::getKey)
                            .findFirst()
                            .orElse("*"));
            mistake(key, words);
        }
    }

    private void mistake(String name, String words) {
        mistakes.accept(key(name) + ": " + words);
    }

    private static String key(String name) {
        return "kafka." + name;
    }
}
