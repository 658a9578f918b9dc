package dev.penstock.settings.read;

import dev.penstock.job.Priority;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Secrets;
import dev.penstock.settings.Settings;
import dev.penstock.settings.source.FreeForm;
import dev.penstock.settings.source.KnownKeys;
import dev.penstock.settings.source.PenstockConfig;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.ModelName;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.document.ReachingFields;
import dev.penstock.wire.record.GroupNames;
import dev.penstock.wire.record.IntakeMode;
import io.quarkus.runtime.configuration.ConfigurationException;
import io.quarkus.runtime.configuration.MemorySize;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Turns the keys into {@link Settings}, and lists every mistake with its key. */
public final class SettingsReader {

    /** The default limits are this part of the largest heap; a running job takes several times its record's size. */
    private static final int HEAP_SHARE = 16;

    private static final int SMALLEST_SIZE = 1024;
    private static final int LARGEST_SIZE = 1 << 30;

    private final Mistakes mistakes = new Mistakes();
    private final FreeForm freeForm;

    private SettingsReader(Map<String, String> keys) {
        freeForm = new FreeForm(keys);
    }

    /** All mistakes of a configuration, one per line. Quarkus ends the start with this message only. */
    public static final class InvalidSettings extends ConfigurationException {
        InvalidSettings(List<String> mistakes) {
            super(listed(mistakes));
        }
    }

    /**
     * @param environment variables such as VLLM_URL and OLLAMA_HOST
     * @throws InvalidSettings with every mistake
     */
    public static Settings read(PenstockConfig config, Map<String, String> environment) {
        return read(config, environment, Map.of());
    }

    /** @param keys all configured keys except those from the environment; a key without effect is a mistake */
    public static Settings read(PenstockConfig config, Map<String, String> environment, Map<String, String> keys) {
        SettingsReader reader = new SettingsReader(keys);
        Settings settings = reader.settings(config, environment);
        reader.unknown(keys);
        if (!reader.mistakes.lines().isEmpty()) {
            throw new InvalidSettings(reader.mistakes.lines());
        }
        return settings;
    }

    /** Returns all mistakes of a configuration; it does not stop at the first. */
    public static List<String> mistakes(
            PenstockConfig config, Map<String, String> environment, Map<String, String> keys) {
        SettingsReader reader = new SettingsReader(keys);
        reader.settings(config, environment);
        reader.unknown(keys);
        return List.copyOf(reader.mistakes.lines());
    }

    /** Returns the settings, with defaults in place of wrong values. */
    public static Settings asFarAsItGoes(
            PenstockConfig config, Map<String, String> environment, Map<String, String> keys) {
        return new SettingsReader(keys).settings(config, environment);
    }

    private void unknown(Map<String, String> keys) {
        keys.keySet().stream().sorted().forEach(key -> KnownKeys.mistake(key).ifPresent(mistakes::line));
    }

    /** Returns the mistakes, one per line, in the form of every such list. */
    public static String listed(List<String> mistakes) {
        return "the configuration has %d mistake%s:\n  - %s"
                .formatted(mistakes.size(), mistakes.size() == 1 ? "" : "s", String.join("\n  - ", mistakes));
    }

    /**
     * Returns the one node of a configuration that has nothing else.
     *
     * @param mistakes gets every mistake
     */
    static Optional<NodeSettings> node(PenstockConfig config, List<String> mistakes) {
        SettingsReader reader = new SettingsReader(Map.of());
        List<NodeSettings> nodes = reader.nodes().read(config, Map.of());
        mistakes.addAll(reader.mistakes.lines());
        return nodes.stream().findFirst();
    }

    private NodesReader nodes() {
        return new NodesReader(mistakes, freeForm);
    }

    private Settings settings(PenstockConfig config, Map<String, String> environment) {
        config.auth()
                .mode()
                .filter(mode -> !mode.equals("none"))
                .ifPresent(mode -> mistakes.mistake(
                        "auth.mode", "'%s' is not available in this version: none is".formatted(mode)));
        Map<String, Map<Backend, String>> profiles = profiles(config);
        config.defaultProfile()
                .filter(name -> !profiles.containsKey(name))
                .ifPresent(name -> mistakes.mistake("default-profile", "there is no profile '%s'".formatted(name)));
        permissions(config);
        mistakes.positive(NodesReader.UNKNOWN_FOR, config.unknownFor());
        mistakes.positive("timeouts.connect", config.timeouts().connect());
        mistakes.positive("timeouts.first-token", config.timeouts().firstToken());
        mistakes.positive("timeouts.idle", config.timeouts().idle());
        mistakes.positive("retries.backoff", config.retries().backoff());
        mistakes.positive("retries.max-backoff", config.retries().maxBackoff());
        mistakes.positive("jobs.timeout", config.jobs().timeout());
        mistakes.positive("jobs.max-timeout", config.jobs().maxTimeout());
        mistakes.atLeast("retries.max-attempts", config.retries().maxAttempts(), 1);
        mistakes.atLeast("replies.chunk-max-chars", config.replies().chunkMaxChars(), 1);
        mistakes.atLeast("kafka.max-record", config.kafka().maxRecord(), 16_384);
        if (config.jobs().timeout().compareTo(config.jobs().maxTimeout()) > 0) {
            mistakes.mistake("jobs.timeout", "is above penstock.jobs.max-timeout");
        }
        return new Settings(
                nodes().read(config, environment),
                config.unknownFor(),
                profiles,
                config.defaultProfile().orElse(null),
                freeForm.at("parameters", config.parameters()),
                new JobDocument.Permissions(
                        config.jobs().allowedFields().orElse(Set.of()),
                        new AllowedHosts(config.images().allowedHosts().orElse(Set.of()))),
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
                        config.replies().chunkLinger(), config.replies().chunkMaxChars(), compression(config)),
                new Settings.Topics(
                        config.topics().deferred(),
                        config.topics().replies(),
                        config.topics().commands(),
                        config.topics().dlq(),
                        config.topics().settings()),
                groups(config),
                ledger(config),
                config.kafka().createTopics(),
                config.kafka().maxRecord(),
                config.drain().timeout(),
                config.config().runtimeChanges(),
                access(config),
                api(config),
                answers(config));
    }

    private Settings.Api api(PenstockConfig config) {
        var api = config.api();
        mistakes.atLeast("api.max-lines", api.maxLines(), 1);
        mistakes.atLeast("api.max-streams", api.maxStreams(), 1);
        mistakes.positive("api.header-timeout", api.headerTimeout());
        mistakes.positive("api.body-timeout", api.bodyTimeout());
        mistakes.positive("api.idle-timeout", api.idleTimeout());
        mistakes.positive("api.answer-timeout", api.answerTimeout());
        int stream = size("api.max-stream-bytes", api.maxStreamBytes());
        long streams = api.maxStreamsBytes()
                .map(MemorySize::asLongValue)
                .orElse(Math.max(stream, Runtime.getRuntime().maxMemory() / HEAP_SHARE));
        if (streams < stream) {
            mistakes.mistake("api.max-streams-bytes", "must be at least api.max-stream-bytes, " + stream);
        }
        return new Settings.Api(
                api.maxLines(),
                api.headerTimeout(),
                api.bodyTimeout(),
                api.idleTimeout(),
                api.answerTimeout(),
                api.maxStreams(),
                stream,
                streams);
    }

    private Settings.Answers answers(PenstockConfig config) {
        var answers = config.answers();
        long bytes = answers.maxBytes()
                .map(MemorySize::asLongValue)
                .orElse(Math.clamp(
                        Runtime.getRuntime().maxMemory() / HEAP_SHARE, SMALLEST_SIZE, Settings.Answers.USUAL.bytes()));
        if (bytes < SMALLEST_SIZE) {
            mistakes.mistake("answers.max-bytes", "must be at least " + SMALLEST_SIZE);
        }
        size("answers.max-pull", answers.maxPull());
        return new Settings.Answers(
                bytes,
                size("answers.max-line", answers.maxLine()),
                size("answers.max-listing", answers.maxListing()),
                size("answers.max-embeddings", answers.maxEmbeddings()),
                answers.maxPull().asLongValue());
    }

    /** Limits the size of one block of memory to the maximum of an array. */
    private int size(String key, MemorySize given) {
        long size = given.asLongValue();
        if (size < SMALLEST_SIZE) {
            mistakes.mistake(key, "must be at least " + SMALLEST_SIZE);
        }
        return (int) Math.min(size, LARGEST_SIZE);
    }

    private void permissions(PenstockConfig config) {
        for (String field : config.jobs().allowedFields().orElse(Set.of())) {
            if (!ReachingFields.has(field)) {
                mistakes.mistake("jobs.allowed-fields", "'%s' is not a field that is refused".formatted(field));
            }
        }
        for (String host : config.images().allowedHosts().orElse(Set.of())) {
            if (!host.matches("[A-Za-z0-9.-]+(:\\d{1,5})?")) {
                mistakes.mistake("images.allowed-hosts", "'%s' is no host, or host:port".formatted(host));
            }
        }
    }

    private Settings.Access access(PenstockConfig config) {
        return new Settings.Access(
                hosts("api.allowed-hosts", config.api().allowedHosts().orElse(Set.of())), secrets(config.auth()));
    }

    private Set<String> hosts(String key, Set<String> given) {
        Set<String> hosts = new HashSet<>();
        for (String host : given) {
            if (!host.matches("([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+])(:\\d{1,5})?")) {
                mistakes.mistake(key, "'%s' is no host, or host:port".formatted(host));
            }
            hosts.add(host.toLowerCase(Locale.ROOT));
        }
        return hosts;
    }

    private Secrets secrets(PenstockConfig.AuthConfig auth) {
        if (!auth.secretPrefix().matches("[A-Za-z_][A-Za-z0-9_]*")) {
            mistakes.mistake("auth.secret-prefix", "'%s' begins no name of a variable".formatted(auth.secretPrefix()));
        }
        auth.secretDir()
                .filter(folder -> !Files.isDirectory(folder))
                .ifPresent(folder -> mistakes.mistake("auth.secret-dir", "'%s' is no folder".formatted(folder)));
        Map<String, Set<String>> hosts = new HashMap<>();
        auth.secretHosts().forEach((name, given) -> hosts.put(name, hosts("auth.secret-hosts." + name, given)));
        return new Secrets(auth.secretPrefix(), auth.secretDir(), hosts);
    }

    private Map<String, Map<Backend, String>> profiles(PenstockConfig config) {
        Map<String, Map<Backend, String>> profiles = new HashMap<>();
        config.profiles().forEach((alias, models) -> {
            Map<Backend, String> byBackend = new EnumMap<>(Backend.class);
            if (!ModelName.isUsable(alias)) {
                mistakes.mistake("profiles", Mistakes.MODEL_NAME_RULE);
            }
            models.forEach((backend, model) -> {
                String key = "profiles." + alias + "." + backend;
                mistakes.modelName(key, model);
                mistakes.backend(key, backend).ifPresent(known -> byBackend.put(known, model));
            });
            profiles.put(alias, byBackend);
        });
        return profiles;
    }

    private Settings.Intake intake(PenstockConfig config) {
        var intake = config.intake();
        mistakes.atLeast("intake.slots", intake.slots(), 1);
        mistakes.atLeast("intake.consumers", intake.consumers(), 1);
        mistakes.positive("intake.park", intake.park());
        long maxBytes = intake.maxBytes()
                .map(MemorySize::asLongValue)
                .orElse(Math.max(
                        config.kafka().maxRecord(), Runtime.getRuntime().maxMemory() / HEAP_SHARE));
        if (maxBytes < config.kafka().maxRecord()) {
            mistakes.mistake(
                    "intake.max-bytes",
                    "must be at least kafka.max-record, %d"
                            .formatted(config.kafka().maxRecord()));
        }
        if (!(intake.lowShare() >= 0 && intake.lowShare() <= 1)) {
            mistakes.mistake("intake.low-share", "must lie between 0 and 1");
        }
        intake.batch().ifPresent(batch -> mistakes.atLeast("intake.batch", batch, 1));
        List<Settings.JobTopic> topics = new ArrayList<>();
        if (intake.topics().isEmpty()) {
            topics.add(new Settings.JobTopic(config.topics().jobsHigh(), Priority.HIGH, "default", intake.slots()));
            topics.add(new Settings.JobTopic(config.topics().jobs(), Priority.NORMAL, "default", intake.slots()));
            topics.add(new Settings.JobTopic(config.topics().jobsLow(), Priority.LOW, "default", intake.slots()));
        } else {
            for (int i = 0; i < intake.topics().get().size(); i++) {
                var topic = intake.topics().get().get(i);
                String key = "intake.topics[" + i + "]";
                topic.slots().ifPresent(slots -> mistakes.atLeast(key + ".slots", slots, 1));
                topics.add(new Settings.JobTopic(
                        topic.name(),
                        priority(key + ".priority", topic.priority()),
                        topic.tenant(),
                        topic.slots().orElse(intake.slots())));
            }
        }
        Set<String> names = new HashSet<>();
        List<String> others = List.of(
                config.topics().deferred(),
                config.topics().replies(),
                config.topics().commands(),
                config.topics().dlq(),
                config.topics().settings());
        for (Settings.JobTopic topic : topics) {
            if (others.contains(topic.name())) {
                mistakes.mistake(
                        "intake.topics",
                        "'%s' is the name of an internal topic (penstock.topics)".formatted(topic.name()));
            }
            if (!topic.name().matches("[a-zA-Z0-9._-]{1,249}")) {
                mistakes.mistake("intake.topics", "'%s' is no name of a Kafka topic".formatted(topic.name()));
            }
            if (!names.add(topic.name())) {
                mistakes.mistake("intake.topics", "'%s' is there twice".formatted(topic.name()));
            }
        }
        return new Settings.Intake(
                intake.enabled(),
                mode(intake.mode()),
                intake.slots(),
                intake.consumers(),
                intake.batch(),
                maxBytes,
                intake.park(),
                intake.lowShare(),
                List.copyOf(topics));
    }

    private Optional<IntakeMode> mode(String given) {
        Optional<IntakeMode> mode = IntakeMode.of(given);
        if (mode.isEmpty() && !given.equals("auto")) {
            mistakes.mistake("intake.mode", "'%s' is none of auto, share, classic".formatted(given));
        }
        return mode;
    }

    private GroupNames groups(PenstockConfig config) {
        String prefix = config.groupsPrefix().orElse("");
        if (!GroupNames.isValid(prefix)) {
            mistakes.mistake("groups-prefix", "'%s': %s".formatted(prefix, GroupNames.RULE));
            return new GroupNames("");
        }
        return new GroupNames(prefix);
    }

    private Settings.Ledger ledger(PenstockConfig config) {
        String given = config.ledger().kind();
        Optional<Settings.LedgerKind> kind = Arrays.stream(Settings.LedgerKind.values())
                .filter(known -> known.wireName().equals(given))
                .findFirst();
        if (kind.isEmpty()) {
            mistakes.mistake("ledger.kind", "'%s' is none of sqlite, postgresql, none".formatted(given));
        }
        mistakes.positive("ledger.retention", config.ledger().retention());
        if (kind.equals(Optional.of(Settings.LedgerKind.POSTGRESQL))
                && !config.ledger().url().orElse("").startsWith("jdbc:postgresql:")) {
            mistakes.mistake("ledger.url", "must be set for postgresql, as jdbc:postgresql://host:5432/database");
        }
        return new Settings.Ledger(
                kind.orElse(Settings.LedgerKind.NONE),
                config.ledger().retention(),
                Path.of(config.ledger().path()));
    }

    private Settings.Compression compression(PenstockConfig config) {
        String given = config.replies().compression();
        Optional<Settings.Compression> compression = Arrays.stream(Settings.Compression.values())
                .filter(known -> known.wireName().equals(given))
                .findFirst();
        if (compression.isEmpty()) {
            mistakes.mistake("replies.compression", "'%s' is none of none, gzip, lz4".formatted(given));
        }
        return compression.orElse(Settings.Compression.LZ4);
    }

    private Priority priority(String key, String value) {
        Optional<Priority> priority = Arrays.stream(Priority.values())
                .filter(known -> known.wireName().equals(value))
                .findFirst();
        if (priority.isEmpty()) {
            mistakes.mistake(key, "'%s' is none of high, normal, low".formatted(value));
        }
        return priority.orElse(Priority.NORMAL);
    }
}
