package dev.penstock.settings;

import dev.penstock.job.Priority;
import dev.penstock.wire.IntakeMode;
import io.quarkus.runtime.configuration.ConfigurationException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Turns the keys into {@link Settings}, and lists every mistake by its key. */
public final class SettingsReader {
    private final List<String> mistakes = new ArrayList<>();

    private SettingsReader() {}

    /** All the mistakes of a configuration, one a line; Quarkus ends the start with this message alone. */
    public static final class InvalidSettings extends ConfigurationException {
        InvalidSettings(List<String> mistakes) {
            super("the configuration has %d mistake%s:\n  - %s"
                    .formatted(mistakes.size(), mistakes.size() == 1 ? "" : "s", String.join("\n  - ", mistakes)));
        }
    }

    /**
     * @param environment VLLM_URL, OLLAMA_HOST and the like
     * @throws InvalidSettings with every mistake
     */
    public static Settings read(PenstockConfig config, Map<String, String> environment) {
        SettingsReader reader = new SettingsReader();
        Settings settings = reader.settings(config, environment);
        if (!reader.mistakes.isEmpty()) {
            throw new InvalidSettings(reader.mistakes);
        }
        return settings;
    }

    /**
     * The one node of a configuration that says nothing else.
     *
     * @param mistakes gets every mistake
     */
    static Optional<NodeSettings> node(PenstockConfig config, List<String> mistakes) {
        SettingsReader reader = new SettingsReader();
        List<NodeSettings> nodes = reader.nodes(config, Map.of());
        mistakes.addAll(reader.mistakes);
        return nodes.stream().findFirst();
    }

    private Settings settings(PenstockConfig config, Map<String, String> environment) {
        config.auth()
                .mode()
                .filter(mode -> !mode.equals("none"))
                .ifPresent(
                        mode -> mistake("auth.mode", "'%s' is not available in this version: none is".formatted(mode)));
        Map<String, Map<Backend, String>> profiles = profiles(config);
        config.defaultProfile()
                .filter(name -> !profiles.containsKey(name))
                .ifPresent(name -> mistake("default-profile", "there is no profile '%s'".formatted(name)));
        positive("timeouts.connect", config.timeouts().connect());
        positive("timeouts.first-token", config.timeouts().firstToken());
        positive("timeouts.idle", config.timeouts().idle());
        positive("retries.backoff", config.retries().backoff());
        positive("retries.max-backoff", config.retries().maxBackoff());
        positive("jobs.timeout", config.jobs().timeout());
        positive("jobs.max-timeout", config.jobs().maxTimeout());
        atLeast("retries.max-attempts", config.retries().maxAttempts(), 1);
        atLeast("replies.chunk-max-chars", config.replies().chunkMaxChars(), 1);
        atLeast("kafka.max-record", config.kafka().maxRecord(), 16_384);
        if (config.jobs().timeout().compareTo(config.jobs().maxTimeout()) > 0) {
            mistake("jobs.timeout", "is above penstock.jobs.max-timeout");
        }
        return new Settings(
                nodes(config, environment),
                profiles,
                config.defaultProfile().orElse(null),
                new Settings.Timeouts(
                        config.timeouts().connect(),
                        config.timeouts().firstToken(),
                        config.timeouts().idle()),
                new Settings.Retries(
                        config.retries().maxAttempts(),
                        config.retries().backoff(),
                        config.retries().maxBackoff()),
                config.jobs().timeout(),
                config.jobs().maxTimeout(),
                intake(config),
                new Settings.Replies(
                        config.replies().chunkLinger(), config.replies().chunkMaxChars()),
                new Settings.Topics(
                        config.topics().deferred(),
                        config.topics().replies(),
                        config.topics().commands(),
                        config.topics().dlq(),
                        config.topics().settings()),
                ledger(config),
                config.kafka().createTopics(),
                config.kafka().maxRecord(),
                config.drain().timeout(),
                config.config().runtimeChanges());
    }

    private Map<String, Map<Backend, String>> profiles(PenstockConfig config) {
        Map<String, Map<Backend, String>> profiles = new HashMap<>();
        config.profiles().forEach((alias, models) -> {
            Map<Backend, String> byBackend = new EnumMap<>(Backend.class);
            models.forEach((backend, model) -> backend("profiles." + alias + "." + backend, backend)
                    .ifPresent(known -> byBackend.put(known, model)));
            profiles.put(alias, byBackend);
        });
        return profiles;
    }

    private List<NodeSettings> nodes(PenstockConfig config, Map<String, String> environment) {
        List<NodeSettings> nodes = new ArrayList<>();
        config.nodes().forEach((name, node) -> {
            String key = "nodes." + name;
            if (!name.matches("[A-Za-z0-9._-]{1,64}")) {
                mistake(key, "a node's name has 1 to 64 characters of A-Z a-z 0-9 . _ -");
            }
            Optional<Backend> backend = backend(key + ".backend", node.backend());
            Optional<URI> url = url(key + ".url", node.url());
            node.maxInFlight().ifPresent(limit -> atLeast(key + ".max-in-flight", limit, 1));
            boolean fetchesMissing = fetchesMissing(key + ".pull", node.pull());
            if (backend.isPresent() && url.isPresent()) {
                nodes.add(new NodeSettings(
                        name,
                        backend.get(),
                        url.get(),
                        node.pool().orElse(backend.get().defaultPool()),
                        node.maxInFlight().map(OptionalInt::of).orElse(OptionalInt.empty()),
                        node.model().orElse(null),
                        node.apiKey().filter(key1 -> !key1.isBlank()).orElse(null),
                        node.headers(),
                        fetchesMissing));
            }
        });
        fromEnvironment(environment, nodes);
        return nodes;
    }

    private boolean fetchesMissing(String key, String pull) {
        if (!pull.equals("missing") && !pull.equals("never")) {
            mistake(key, "'%s' is none of missing, never".formatted(pull));
        }
        return pull.equals("missing");
    }

    private void fromEnvironment(Map<String, String> environment, List<NodeSettings> nodes) {
        Set<String> taken = new HashSet<>();
        nodes.forEach(node -> taken.add(node.name()));
        environmentNode(environment, "VLLM_URL", Backend.VLLM, taken)
                .ifPresent(node -> nodes.add(new NodeSettings(
                        node.name(),
                        node.backend(),
                        node.url(),
                        node.pool(),
                        node.maxInFlight(),
                        given(environment, "VLLM_MODEL"),
                        given(environment, "VLLM_API_KEY"),
                        Map.of(),
                        false)));
        environmentNode(environment, "OLLAMA_HOST", Backend.OLLAMA, taken).ifPresent(nodes::add);
        environmentNode(environment, "LLAMA_SERVER_URL", Backend.LLAMA_SERVER, taken)
                .ifPresent(nodes::add);
    }

    private Optional<NodeSettings> environmentNode(
            Map<String, String> environment, String variable, Backend backend, Set<String> taken) {
        String value = given(environment, variable);
        if (value == null || taken.contains(backend.wireName())) {
            return Optional.empty();
        }
        String address = backend == Backend.OLLAMA ? ollamaAddress(value) : value;
        Optional<URI> url = parseUrl(address);
        if (url.isEmpty()) {
            mistakes.add(variable + ": '" + value + "' is no http:// or https:// address");
        }
        return url.map(uri -> NodeSettings.at(backend, uri));
    }

    /** Ollama's own forms: host, host:port, :port, 0.0.0.0, with or without a scheme; port 11434 by default. */
    static String ollamaAddress(String value) {
        String trimmed = value.strip();
        boolean tls = trimmed.startsWith("https://");
        String rest = trimmed.replaceFirst("^https?://", "");
        String host = rest.replaceFirst("[:/].*$", "");
        String port = rest.matches("[^/]*:\\d+.*") ? rest.replaceFirst("^[^/]*:(\\d+).*$", "$1") : "";
        boolean schemeGiven = trimmed.contains("://");
        String defaultPort = !schemeGiven ? "11434" : tls ? "443" : "80";
        String reachable = host.isEmpty() || host.equals("0.0.0.0") ? "127.0.0.1" : host;
        return (tls ? "https://" : "http://") + reachable + ":" + (port.isEmpty() ? defaultPort : port);
    }

    private static @Nullable String given(Map<String, String> environment, String variable) {
        String value = environment.get(variable);
        return value == null || value.isBlank() ? null : value.strip();
    }

    private Settings.Intake intake(PenstockConfig config) {
        var intake = config.intake();
        atLeast("intake.slots", intake.slots(), 1);
        atLeast("intake.consumers", intake.consumers(), 1);
        positive("intake.park", intake.park());
        if (!(intake.lowShare() >= 0 && intake.lowShare() <= 1)) {
            mistake("intake.low-share", "must lie between 0 and 1");
        }
        intake.batch().ifPresent(batch -> atLeast("intake.batch", batch, 1));
        List<Settings.JobTopic> topics = new ArrayList<>();
        if (intake.topics().isEmpty()) {
            topics.add(new Settings.JobTopic(config.topics().jobsHigh(), Priority.HIGH, "default", intake.slots()));
            topics.add(new Settings.JobTopic(config.topics().jobs(), Priority.NORMAL, "default", intake.slots()));
            topics.add(new Settings.JobTopic(config.topics().jobsLow(), Priority.LOW, "default", intake.slots()));
        } else {
            for (int i = 0; i < intake.topics().get().size(); i++) {
                var topic = intake.topics().get().get(i);
                String key = "intake.topics[" + i + "]";
                topic.slots().ifPresent(slots -> atLeast(key + ".slots", slots, 1));
                topics.add(new Settings.JobTopic(
                        topic.name(),
                        priority(key + ".priority", topic.priority()),
                        topic.tenant(),
                        topic.slots().orElse(intake.slots())));
            }
        }
        Set<String> names = new HashSet<>();
        for (Settings.JobTopic topic : topics) {
            if (!topic.name().matches("[a-zA-Z0-9._-]{1,249}")) {
                mistake("intake.topics", "'%s' is no name of a Kafka topic".formatted(topic.name()));
            }
            if (!names.add(topic.name())) {
                mistake("intake.topics", "'%s' is there twice".formatted(topic.name()));
            }
        }
        return new Settings.Intake(
                intake.enabled(),
                mode(intake.mode()),
                intake.slots(),
                intake.consumers(),
                intake.batch(),
                intake.park(),
                intake.lowShare(),
                List.copyOf(topics));
    }

    private Optional<IntakeMode> mode(String given) {
        Optional<IntakeMode> mode = IntakeMode.of(given);
        if (mode.isEmpty() && !given.equals("auto")) {
            mistake("intake.mode", "'%s' is none of auto, share, classic".formatted(given));
        }
        return mode;
    }

    private Settings.Ledger ledger(PenstockConfig config) {
        String given = config.ledger().kind();
        Optional<Settings.LedgerKind> kind = Arrays.stream(Settings.LedgerKind.values())
                .filter(known -> known.wireName().equals(given))
                .findFirst();
        if (kind.isEmpty()) {
            mistake("ledger.kind", "'%s' is none of sqlite, postgresql, none".formatted(given));
        }
        positive("ledger.retention", config.ledger().retention());
        if (kind.equals(Optional.of(Settings.LedgerKind.POSTGRESQL))
                && !config.ledger().url().orElse("").startsWith("jdbc:postgresql:")) {
            mistake("ledger.url", "must be said for postgresql, as jdbc:postgresql://host:5432/database");
        }
        return new Settings.Ledger(
                kind.orElse(Settings.LedgerKind.NONE),
                config.ledger().retention(),
                Path.of(config.ledger().path()));
    }

    private Priority priority(String key, String value) {
        Optional<Priority> priority = Arrays.stream(Priority.values())
                .filter(known -> known.wireName().equals(value))
                .findFirst();
        if (priority.isEmpty()) {
            mistake(key, "'%s' is none of high, normal, low".formatted(value));
        }
        return priority.orElse(Priority.NORMAL);
    }

    private Optional<Backend> backend(String key, String value) {
        Optional<Backend> backend = Backend.of(value);
        if (backend.isEmpty()) {
            mistake(key, "'%s' is none of %s".formatted(value, Backend.all()));
        }
        return backend;
    }

    private Optional<URI> url(String key, String value) {
        Optional<URI> url = parseUrl(value);
        if (url.isEmpty()) {
            mistake(key, "'%s' is no http:// or https:// address".formatted(value));
        }
        return url;
    }

    private static Optional<URI> parseUrl(String value) {
        try {
            URI url = URI.create(value.strip().replaceFirst("/+$", "").replaceFirst("/v1$", ""));
            boolean http = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
            return http && url.getHost() != null ? Optional.of(url) : Optional.empty();
        } catch (IllegalArgumentException _) {
            return Optional.empty();
        }
    }

    private void positive(String key, Duration value) {
        if (!value.isPositive()) {
            mistake(key, "must be a positive duration");
        }
    }

    private void atLeast(String key, int value, int least) {
        if (value < least) {
            mistake(key, "must be at least " + least);
        }
    }

    private void mistake(String key, String message) {
        mistakes.add("penstock." + key + ": " + message);
    }
}
