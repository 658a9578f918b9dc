package dev.penstock.settings.read;

import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Routing;
import dev.penstock.settings.Settings;
import dev.penstock.settings.source.FreeForm;
import dev.penstock.settings.source.KnownKeys;
import dev.penstock.settings.source.PenstockConfig;
import dev.penstock.wire.ModelName;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.record.GroupNames;
import io.quarkus.runtime.configuration.ConfigurationException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Turns the keys into {@link Settings}, and lists every mistake with its key. */
public final class SettingsReader {
    /** Until then, the reader of the webhook topic finds the state of a job in the ledger. */
    private static final Duration LEAST_WITH_WEBHOOKS = Duration.ofHours(12);

    private final Mistakes mistakes = new Mistakes();
    private final FreeForm freeForm;

    private SettingsReader(Map<String, String> keys) {
        freeForm = new FreeForm(keys);
    }

    /**
     * All mistakes of a configuration, one per line. When it is thrown, Quarkus ends the start and prints only this
     * message.
     */
    public static final class InvalidSettings extends ConfigurationException {
        InvalidSettings(List<String> mistakes) {
            super(listed(mistakes));
        }
    }

    /**
     * @param environment the environment variables, such as VLLM_URL and OLLAMA_HOST
     * @throws InvalidSettings the message lists every mistake
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

    /** Returns all mistakes of a configuration, not only the first. */
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

    /** Returns a warning for each key that is set and has no effect with the other keys. */
    public static List<String> withoutEffect(PenstockConfig config) {
        List<String> warnings = new ArrayList<>(IntakeReader.withoutEffect(config));
        warnings.addAll(TenantsReader.withoutEffect(config));
        return warnings;
    }

    /** Returns the mistakes as one text, one mistake per line. */
    public static String listed(List<String> mistakes) {
        return "the configuration has %d mistake%s:\n  - %s"
                .formatted(mistakes.size(), mistakes.size() == 1 ? "" : "s", String.join("\n  - ", mistakes));
    }

    /**
     * Returns the node of a configuration that contains one node and nothing else.
     *
     * @param mistakes receives every mistake
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
        AccessReader access = new AccessReader(mistakes);
        JobDocument.Permissions permissions = access.permissions(config);
        mistakes.positive(NodesReader.UNKNOWN_FOR, config.unknownFor());
        mistakes.positive("timeouts.connect", config.timeouts().connect());
        mistakes.positive("timeouts.first-token", config.timeouts().firstToken());
        mistakes.positive("timeouts.idle", config.timeouts().idle());
        mistakes.positive("timeouts.queue", config.timeouts().queue());
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
        LimitsReader limits = new LimitsReader(mistakes);
        List<NodeSettings> nodes = nodes().read(config, environment);
        Settings.Intake intake = new IntakeReader(mistakes).read(config);
        return new Settings(
                nodes,
                config.unknownFor(),
                profiles,
                config.defaultProfile().orElse(null),
                new Routing(
                        new RoutesReader(
                                        mistakes,
                                        new RuleChecks.Installation(
                                                nodes,
                                                profiles,
                                                intake.topics(),
                                                config.config().runtimeChanges()))
                                .read(freeForm.routes()),
                        config.cloudFallback()),
                freeForm.at("parameters", config.parameters()),
                new TenantsReader(mistakes).read(config.tenants()),
                new WebhooksReader(mistakes).read(config.webhooks()),
                permissions,
                new Settings.Timeouts(
                        config.timeouts().connect(),
                        config.timeouts().firstToken(),
                        config.timeouts().idle(),
                        config.timeouts().queue()),
                new Settings.Retries(
                        config.retries().maxAttempts(),
                        config.retries().backoff(),
                        config.retries().maxBackoff()),
                continuing(config),
                limits.breaker(config.breaker()),
                limits.admission(config.admission()),
                config.deadlines().refuseEarly(),
                config.jobs().timeout(),
                config.jobs().maxTimeout(),
                intake,
                new Settings.Replies(
                        config.replies().chunkLinger(), config.replies().chunkMaxChars(), compression(config)),
                new Settings.Topics(
                        config.topics().deferred(),
                        config.topics().replies(),
                        config.topics().commands(),
                        config.topics().dlq(),
                        config.topics().settings(),
                        config.topics().usage(),
                        config.topics().webhooks()),
                groups(config),
                ledger(config),
                config.kafka().createTopics(),
                config.kafka().maxRecord(),
                config.drain().timeout(),
                config.config().runtimeChanges(),
                access.read(config),
                limits.api(config.api()),
                limits.answers(config.answers()),
                new Settings.Compat(config.compat().ollama()));
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

    private Settings.Continuing continuing(PenstockConfig config) {
        Optional<Settings.Continuing> continuing = Arrays.stream(Settings.Continuing.values())
                .filter(known -> known.wireName().equals(config.continuing()))
                .findFirst();
        if (continuing.isEmpty()) {
            mistakes.mistake("continue", "'%s' is none of same-model, any, never".formatted(config.continuing()));
        }
        return continuing.orElse(Settings.Continuing.SAME_MODEL);
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
        if (!config.webhooks().isEmpty() && config.ledger().retention().compareTo(LEAST_WITH_WEBHOOKS) < 0) {
            mistakes.mistake("ledger.retention", "must be at least 12h with webhooks: their posts look the job up");
        }
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
}
