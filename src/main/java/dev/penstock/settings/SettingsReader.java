package dev.penstock.settings;

import dev.penstock.job.Priority;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.GroupNames;
import dev.penstock.wire.IntakeMode;
import dev.penstock.wire.JobDocument;
import dev.penstock.wire.ModelName;
import dev.penstock.wire.ReachingFields;
import io.quarkus.runtime.configuration.ConfigurationException;
import io.quarkus.runtime.configuration.MemorySize;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Turns the keys into {@link Settings}, and lists every mistake with its key. */
public final class SettingsReader {
    static final String NODE_NAME = "(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}";
    static final String NODE_NAME_RULE =
            "a node's name has 1 to 64 characters of A-Z a-z 0-9 . _ -, and is neither . nor ..";

    private static final String UNKNOWN_FOR = "nodes.unknown-for";

    /** The default limits are this part of the largest heap; a running job takes several times its record's size. */
    private static final int HEAP_SHARE = 16;

    private static final int LONGEST_POOL = 64;
    private static final String MODEL_NAME_RULE =
            "a model's name has 1 to %d characters on one line".formatted(ModelName.LONGEST);

    private static final int SMALLEST_SIZE = 1024;
    private static final int LARGEST_SIZE = 1 << 30;

    /** The servers that fetch a model on request. {@link ProgramReader} decides for programs that Penstock starts. */
    private static final Set<Backend> FETCHING = EnumSet.of(Backend.OLLAMA, Backend.LLAMA_SERVER, Backend.LLAMA_CLI);

    private static final Pattern OLLAMA = Pattern.compile(
            "(?:(?<scheme>https?)://)?(?<host>\\[[^\\]/]*\\]|[^/:\\[\\]]*)(?::(?<port>\\d+))?(?<path>(?:/.*)?)");

    private final List<String> mistakes = new ArrayList<>();
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
    static Settings read(PenstockConfig config, Map<String, String> environment, Map<String, String> keys) {
        SettingsReader reader = new SettingsReader(keys);
        Settings settings = reader.settings(config, environment);
        reader.unknown(keys);
        if (!reader.mistakes.isEmpty()) {
            throw new InvalidSettings(reader.mistakes);
        }
        return settings;
    }

    /** Returns all mistakes of a configuration; it does not stop at the first. */
    static List<String> mistakes(PenstockConfig config, Map<String, String> environment, Map<String, String> keys) {
        SettingsReader reader = new SettingsReader(keys);
        reader.settings(config, environment);
        reader.unknown(keys);
        return List.copyOf(reader.mistakes);
    }

    /** Returns the settings, with defaults in place of wrong values. */
    static Settings asFarAsItGoes(PenstockConfig config, Map<String, String> environment, Map<String, String> keys) {
        return new SettingsReader(keys).settings(config, environment);
    }

    private void unknown(Map<String, String> keys) {
        keys.keySet().stream().sorted().forEach(key -> KnownKeys.mistake(key).ifPresent(mistakes::add));
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
        permissions(config);
        positive(UNKNOWN_FOR, config.unknownFor());
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
        atLeast("api.max-lines", api.maxLines(), 1);
        atLeast("api.max-streams", api.maxStreams(), 1);
        positive("api.header-timeout", api.headerTimeout());
        positive("api.body-timeout", api.bodyTimeout());
        positive("api.idle-timeout", api.idleTimeout());
        positive("api.answer-timeout", api.answerTimeout());
        int stream = size("api.max-stream-bytes", api.maxStreamBytes());
        long streams = api.maxStreamsBytes()
                .map(MemorySize::asLongValue)
                .orElse(Math.max(stream, Runtime.getRuntime().maxMemory() / HEAP_SHARE));
        if (streams < stream) {
            mistake("api.max-streams-bytes", "must be at least api.max-stream-bytes, " + stream);
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
            mistake("answers.max-bytes", "must be at least " + SMALLEST_SIZE);
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
            mistake(key, "must be at least " + SMALLEST_SIZE);
        }
        return (int) Math.min(size, LARGEST_SIZE);
    }

    private void permissions(PenstockConfig config) {
        for (String field : config.jobs().allowedFields().orElse(Set.of())) {
            if (!ReachingFields.has(field)) {
                mistake("jobs.allowed-fields", "'%s' is not a field that is refused".formatted(field));
            }
        }
        for (String host : config.images().allowedHosts().orElse(Set.of())) {
            if (!host.matches("[A-Za-z0-9.-]+(:\\d{1,5})?")) {
                mistake("images.allowed-hosts", "'%s' is no host, or host:port".formatted(host));
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
                mistake(key, "'%s' is no host, or host:port".formatted(host));
            }
            hosts.add(host.toLowerCase(Locale.ROOT));
        }
        return hosts;
    }

    private Secrets secrets(PenstockConfig.AuthConfig auth) {
        if (!auth.secretPrefix().matches("[A-Za-z_][A-Za-z0-9_]*")) {
            mistake("auth.secret-prefix", "'%s' begins no name of a variable".formatted(auth.secretPrefix()));
        }
        auth.secretDir()
                .filter(folder -> !Files.isDirectory(folder))
                .ifPresent(folder -> mistake("auth.secret-dir", "'%s' is no folder".formatted(folder)));
        Map<String, Set<String>> hosts = new HashMap<>();
        auth.secretHosts().forEach((name, given) -> hosts.put(name, hosts("auth.secret-hosts." + name, given)));
        return new Secrets(auth.secretPrefix(), auth.secretDir(), hosts);
    }

    private Map<String, Map<Backend, String>> profiles(PenstockConfig config) {
        Map<String, Map<Backend, String>> profiles = new HashMap<>();
        config.profiles().forEach((alias, models) -> {
            Map<Backend, String> byBackend = new EnumMap<>(Backend.class);
            if (!ModelName.isUsable(alias)) {
                mistake("profiles", MODEL_NAME_RULE);
            }
            models.forEach((backend, model) -> {
                String key = "profiles." + alias + "." + backend;
                modelName(key, model);
                backend(key, backend).ifPresent(known -> byBackend.put(known, model));
            });
            profiles.put(alias, byBackend);
        });
        return profiles;
    }

    private List<NodeSettings> nodes(PenstockConfig config, Map<String, String> environment) {
        List<NodeSettings> nodes = new ArrayList<>();
        config.nodes().forEach((name, node) -> {
            String key = "nodes." + name;
            if (key.equals(UNKNOWN_FOR)) {
                return;
            }
            if (!name.matches(NODE_NAME)) {
                mistake(key, NODE_NAME_RULE);
            }
            Optional<Backend> backend = backend(key + ".backend", node.backend());
            Optional<NodeSettings.Program> program =
                    new ProgramReader(key, node, mistakes).read(backend.orElse(Backend.OPENAI_COMPATIBLE));
            Optional<URI> url = program.isPresent()
                    ? program.map(started -> started.modelPath().toUri())
                    : node.url().flatMap(given -> url(key + ".url", backend.orElse(Backend.OPENAI_COMPATIBLE), given));
            atLeast(key + ".weight", node.weight(), 1);
            node.model().ifPresent(model -> modelName(key + ".model", model));
            node.pool().ifPresent(pool -> poolName(key + ".pool", pool));
            node.maxInFlight().ifPresent(limit -> atLeast(key + ".max-in-flight", limit, 1));
            node.embeddingBatch().ifPresent(batch -> atLeast(key + ".embedding-batch", batch, 1));
            node.timeouts().connect().ifPresent(time -> positive(key + ".timeouts.connect", time));
            node.timeouts().firstToken().ifPresent(time -> positive(key + ".timeouts.first-token", time));
            node.timeouts().idle().ifPresent(time -> positive(key + ".timeouts.idle", time));
            node.headers()
                    .forEach((header, value) -> HeaderRules.mistake(header, value)
                            .ifPresent(wrong -> mistake(key + ".headers." + shownHeader(header), wrong)));
            boolean fetchesMissing = fetchesMissing(key + ".pull", node.pull(), backend);
            if (backend.isPresent() && url.isPresent()) {
                nodes.add(new NodeSettings(
                        name,
                        backend.get(),
                        url.get(),
                        node.pool().orElse(backend.get().defaultPool()),
                        node.maxInFlight().map(OptionalInt::of).orElse(OptionalInt.empty()),
                        node.model().orElse(null),
                        node.apiKey()
                                .filter(secret -> !secret.isBlank())
                                .map(String::strip)
                                .orElse(null),
                        node.headers(),
                        new NodeSettings.Requests(
                                freeForm.at(key + ".parameters", node.parameters()),
                                freeForm.at(key + ".extra-body", node.extraBody()),
                                node.embeddingBatch().map(OptionalInt::of).orElse(OptionalInt.empty()),
                                node.apiVersion().orElse(null),
                                new NodeSettings.OwnTimeouts(
                                        node.timeouts().connect(),
                                        node.timeouts().firstToken(),
                                        node.timeouts().idle())),
                        fetchesMissing,
                        program.orElse(null)));
            }
        });
        fromEnvironment(environment, nodes);
        for (NodeSettings node : nodes) {
            if (KeyedHosts.needKey(node)) {
                mistake(
                        "nodes." + node.name() + ".api-key",
                        "%s wants a key".formatted(node.url().getHost()));
            }
        }
        return nodes;
    }

    /** @param backend empty if its value is wrong; that mistake is reported already */
    private boolean fetchesMissing(String key, String pull, Optional<Backend> backend) {
        if (!pull.equals("missing") && !pull.equals("never")) {
            mistake(key, "'%s' is none of missing, never".formatted(pull));
        } else if (pull.equals("missing") && backend.isPresent() && !FETCHING.contains(backend.get())) {
            mistake(
                    key,
                    "%s fetches no models on command, and a job would wait for ever: leave it out, or set never"
                            .formatted(backend.get().wireName()));
        }
        return pull.equals("missing");
    }

    private void fromEnvironment(Map<String, String> environment, List<NodeSettings> nodes) {
        Set<String> taken = new HashSet<>();
        nodes.forEach(node -> taken.add(node.name()));
        for (EnvironmentNode known : EnvironmentNode.ALL) {
            String address = known.address(environment);
            if (address == null || taken.contains(known.backend().wireName())) {
                continue;
            }
            Optional<URI> url =
                    parseUrl(known.backend(), known.backend() == Backend.OLLAMA ? ollamaAddress(address) : address);
            if (url.isEmpty()) {
                mistakes.add(known.addressVariable() + ": '" + shown(address) + "' is no http:// or https:// address");
            } else if (nodes.stream()
                    .noneMatch(node -> EnvironmentNode.place(node.url()).equals(EnvironmentNode.place(url.get())))) {
                nodes.add(known.node(url.get(), environment));
            }
        }
    }

    /**
     * Parses Ollama's own forms: host, host:port, :port, [::1]:port, 0.0.0.0, with or without a scheme and a path.
     * The default port is 11434.
     */
    static String ollamaAddress(String value) {
        Matcher form = OLLAMA.matcher(value.strip());
        if (!form.matches()) {
            return value;
        }
        String scheme = form.group("scheme");
        String host = form.group("host");
        String port = form.group("port");
        String defaultPort = scheme == null ? "11434" : scheme.equals("https") ? "443" : "80";
        return "%s://%s:%s%s"
                .formatted(
                        scheme == null ? "http" : scheme,
                        host.isEmpty() || host.equals("0.0.0.0") ? "127.0.0.1" : host.equals("[::]") ? "[::1]" : host,
                        port == null ? defaultPort : port,
                        form.group("path"));
    }

    private Settings.Intake intake(PenstockConfig config) {
        var intake = config.intake();
        atLeast("intake.slots", intake.slots(), 1);
        atLeast("intake.consumers", intake.consumers(), 1);
        positive("intake.park", intake.park());
        long maxBytes = intake.maxBytes()
                .map(MemorySize::asLongValue)
                .orElse(Math.max(
                        config.kafka().maxRecord(), Runtime.getRuntime().maxMemory() / HEAP_SHARE));
        if (maxBytes < config.kafka().maxRecord()) {
            mistake(
                    "intake.max-bytes",
                    "must be at least kafka.max-record, %d"
                            .formatted(config.kafka().maxRecord()));
        }
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
        List<String> others = List.of(
                config.topics().deferred(),
                config.topics().replies(),
                config.topics().commands(),
                config.topics().dlq(),
                config.topics().settings());
        for (Settings.JobTopic topic : topics) {
            if (others.contains(topic.name())) {
                mistake(
                        "intake.topics",
                        "'%s' is the name of an internal topic (penstock.topics)".formatted(topic.name()));
            }
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
                maxBytes,
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

    private GroupNames groups(PenstockConfig config) {
        String prefix = config.groupsPrefix().orElse("");
        if (!GroupNames.isValid(prefix)) {
            mistake("groups-prefix", "'%s': %s".formatted(prefix, GroupNames.RULE));
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
            mistake("ledger.kind", "'%s' is none of sqlite, postgresql, none".formatted(given));
        }
        positive("ledger.retention", config.ledger().retention());
        if (kind.equals(Optional.of(Settings.LedgerKind.POSTGRESQL))
                && !config.ledger().url().orElse("").startsWith("jdbc:postgresql:")) {
            mistake("ledger.url", "must be set for postgresql, as jdbc:postgresql://host:5432/database");
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
            mistake("replies.compression", "'%s' is none of none, gzip, lz4".formatted(given));
        }
        return compression.orElse(Settings.Compression.LZ4);
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

    private Optional<URI> url(String key, Backend backend, String value) {
        Optional<URI> url = parseUrl(backend, value);
        if (url.isEmpty()) {
            mistake(
                    key,
                    "'%s' is no http:// or https:// address without user, password and query".formatted(shown(value)));
        }
        return url;
    }

    /** Returns the name in a form for messages: one line, and not too long. */
    private static String shownHeader(String name) {
        String line = name.replaceAll("[^\\x20-\\x7E]", "?");
        return line.length() > 64 ? line.substring(0, 64) + "…" : line;
    }

    /** Returns the address without what may be a password. */
    private static String shown(String address) {
        return address.replaceFirst("//[^/]*@", "//…@").replaceFirst("\\?.*$", "?…");
    }

    private static Optional<URI> parseUrl(Backend backend, String value) {
        try {
            String address = value.strip().replaceFirst("/+$", "").replaceFirst("/v1$", "");
            URI url = URI.create(backend == Backend.AZURE_OPENAI ? address.replaceFirst("/openai$", "") : address);
            boolean http = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
            boolean bare = url.getRawUserInfo() == null && url.getRawQuery() == null && url.getRawFragment() == null;
            return http && bare && url.getHost() != null ? Optional.of(url) : Optional.empty();
        } catch (IllegalArgumentException _) {
            return Optional.empty();
        }
    }

    private void modelName(String key, String name) {
        if (!ModelName.isUsable(name)) {
            mistake(key, MODEL_NAME_RULE);
        }
    }

    /** Checks the name of a pool, which is a label in metrics. */
    private void poolName(String key, String name) {
        if (name.isBlank() || name.length() > LONGEST_POOL || name.chars().anyMatch(Character::isISOControl)) {
            mistake(key, "a pool's name has 1 to %d characters on one line".formatted(LONGEST_POOL));
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
