package dev.penstock.settings.start;

import dev.penstock.settings.Settings;
import dev.penstock.settings.read.ConfigMistake;
import dev.penstock.settings.read.RuleChecks;
import dev.penstock.settings.read.SettingsReader;
import dev.penstock.settings.source.BindAddress;
import dev.penstock.settings.source.ConfigFiles;
import dev.penstock.settings.source.KnownVariables;
import dev.penstock.settings.source.PenstockConfig;
import io.quarkus.runtime.configuration.DurationConverter;
import io.quarkus.runtime.configuration.MemorySize;
import io.quarkus.runtime.configuration.MemorySizeConverter;
import io.smallrye.config.ConfigValidationException;
import io.smallrye.config.EnvConfigSource;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.function.Function;
import org.eclipse.microprofile.config.ConfigValue;
import org.eclipse.microprofile.config.spi.Converter;
import org.jspecify.annotations.Nullable;

/**
 * Finds the mistakes that would prevent the start, before the service starts, and lists them all. It checks the files,
 * the keys, their values, the ports and the settings for Kafka. It reads the configuration as the service does. Only
 * the service itself can find the remaining mistakes.
 */
public final class StartCheck {
    private static final int ENVIRONMENT = 300;
    private static final int ARGUMENTS = 400;
    private static final int PLACEHOLDERS = 500;
    private static final int OVER_OTHER_CONVERTERS = 1_000;
    /**
     * How often the configuration is read at most. Each reading may reveal mistakes that the earlier mistakes had
     * hidden.
     */
    private static final int MOST_READINGS = 5;

    private static final int LARGEST_PORT = 65_535;
    private static final Set<String> BOOLEANS =
            Set.of("true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "1", "0");

    private final Map<String, String> environment;
    private final Map<String, String> arguments;
    private final Path folder;
    private final Set<String> mistakes = new LinkedHashSet<>();
    private final Set<String> hidden = new HashSet<>();
    private final Map<String, String> placeholders = new HashMap<>();

    /**
     * @param arguments the values of {@code -Dkey=value}
     * @param folder the working directory
     */
    public StartCheck(Map<String, String> environment, Map<String, String> arguments, Path folder) {
        this.environment = Map.copyOf(environment);
        this.arguments = Map.copyOf(arguments);
        this.folder = folder;
    }

    /** Returns one line per mistake; empty if there are none. */
    public List<String> mistakes() {
        Found found = find();
        List<String> all = new ArrayList<>(found.mistakes());
        all.addAll(found.ports());
        return List.copyOf(all);
    }

    /**
     * The result of a check of the configuration.
     *
     * @param ports the reasons why the service cannot listen
     * @param warnings one sentence for each key and variable without effect
     * @param settings the settings, with defaults in place of wrong values
     * @param api the address of the API on this machine
     * @param kafka the properties of the Kafka clients
     */
    public record Found(
            List<String> mistakes,
            List<String> ports,
            List<String> warnings,
            Settings settings,
            String api,
            int managementPort,
            Map<String, String> kafka,
            String ledgerUrl) {
        public Found {
            mistakes = List.copyOf(mistakes);
            ports = List.copyOf(ports);
            warnings = List.copyOf(warnings);
            kafka = Map.copyOf(kafka);
        }
    }

    public Found find() {
        ConfigFiles files = new ConfigFiles(folder, mistakes::add);
        files.read(
                "QUARKUS_CONFIG_LOCATIONS",
                configured("quarkus.config.locations") + "," + configured("smallrye.config.locations"));
        SmallRyeConfig config = null;
        if (mistakes.isEmpty()) {
            // only if all files could be read: the keys of an unreadable file would count as missing
            config = read(files);
        }
        Set<String> ports = new LinkedHashSet<>();
        List<String> warnings = new ArrayList<>();
        if (config == null) {
            config = withoutFiles();
        } else {
            port(config, "quarkus.http", 8080, ports);
            port(config, "quarkus.management", 9000, ports);
            KafkaCheck kafka = new KafkaCheck(config, environment, mistakes::add);
            kafka.look();
            warnings.addAll(kafka.unknown());
        }
        PenstockConfig mapped = config.getConfigMapping(PenstockConfig.class);
        Settings settings = SettingsReader.asFarAsItGoes(mapped, environment, SettingsInForce.keys(config));
        warnings.addAll(RuleChecks.warnings(settings));
        warnings.addAll(new KnownVariables(environment, settings.nodes()).unknown());
        String host = value(config, "quarkus.http.host", "localhost");
        return new Found(
                List.copyOf(mistakes),
                List.copyOf(ports),
                warnings,
                settings,
                "http://%s:%s"
                        .formatted(
                                host.equals("0.0.0.0") ? "localhost" : host,
                                value(config, "quarkus.http.port", "8080")),
                number(value(config, "quarkus.management.port", ""), 9000),
                new KafkaCheck(config, environment, _ -> {}).given(),
                mapped.ledger().url().orElse(""));
    }

    private SmallRyeConfig withoutFiles() {
        ConfigFiles none = new ConfigFiles(folder, _ -> {});
        SmallRyeConfig config = new StartCheck(environment, arguments, folder).read(none);
        return config == null ? new StartCheck(Map.of(), Map.of(), folder).config(none) : config;
    }

    private static int number(String text, int usual) {
        try {
            return Integer.parseInt(text.strip());
        } catch (NumberFormatException _) {
            return usual;
        }
    }

    private String configured(String key) {
        String variable = variable(key);
        return arguments.getOrDefault(key, environment.getOrDefault(variable, ""));
    }

    private static String variable(String key) {
        return key.replaceAll("[^A-Za-z0-9]", "_").toUpperCase(Locale.ROOT);
    }

    /**
     * Reads the configuration, and reports its mistakes.
     *
     * @return null if it could not be read at all
     */
    private @Nullable SmallRyeConfig read(ConfigFiles files) {
        for (int i = 0; i < MOST_READINGS; i++) {
            try {
                SmallRyeConfig config = config(files);
                PenstockConfig read = config.getConfigMapping(PenstockConfig.class);
                mistakes.addAll(SettingsReader.mistakes(read, environment, SettingsInForce.keys(config)));
                return config;
            } catch (ConfigValidationException e) {
                boolean more = false;
                for (int j = 0; j < e.getProblemCount(); j++) {
                    more |= hide(ConfigMistake.of(e.getProblem(j).getMessage()));
                }
                if (!more) {
                    return null;
                }
            } catch (NoSuchElementException e) {
                if (!hide(ConfigMistake.of(String.valueOf(e.getMessage())))) {
                    return null;
                }
            }
        }
        return null;
    }

    /** Reports a mistake, and hides its key from the next reading. */
    private boolean hide(ConfigMistake mistake) {
        mistakes.add(mistake.toString());
        String key = mistake.key();
        if (key == null) {
            return false;
        }
        if (mistake.isMissing()) {
            return placeholders.put(key, key.endsWith(".backend") ? "openai-compatible" : "placeholder") == null;
        }
        return hidden.add(key);
    }

    private SmallRyeConfig config(ConfigFiles files) {
        Map<String, String> variables = new HashMap<>(environment);
        Map<String, String> configured = new HashMap<>(arguments);
        hidden.forEach(key -> {
            variables.remove(variable(key));
            variables.remove(key);
            configured.remove(key);
        });
        String profile = configured("quarkus.profile");
        SmallRyeConfigBuilder builder = new SmallRyeConfigBuilder()
                .addDefaultInterceptors()
                .withProfile(profile.isBlank() ? "prod" : profile)
                .withMapping(PenstockConfig.class)
                .withValidateUnknown(false)
                .withInterceptors(new BindAddress())
                .withSources(files.sources(hidden))
                .withSources(
                        new EnvConfigSource(variables, ENVIRONMENT),
                        new PropertiesConfigSource(configured, "-D", ARGUMENTS),
                        new PropertiesConfigSource(placeholders, "what is missing", PLACEHOLDERS));
        with(builder, Integer.class, Integer::valueOf, "expected an integer");
        with(builder, Double.class, Double::valueOf, "expected a number");
        with(builder, Boolean.class, StartCheck::flag, "expected true or false");
        with(
                builder,
                Duration.class,
                new DurationConverter()::convert,
                "expected a duration, such as 30s, 5m or PT10M");
        with(builder, MemorySize.class, new MemorySizeConverter()::convert, "expected a size, such as 64M or 1G");
        return builder.build();
    }

    private static <T> void with(
            SmallRyeConfigBuilder builder, Class<T> type, Function<String, T> read, String expected) {
        Converter<T> converter = value -> {
            if (value.isBlank()) {
                return null;
            }
            try {
                return read.apply(value.strip());
            } catch (RuntimeException _) {
                throw new IllegalArgumentException(expected);
            }
        };
        builder.withConverter(type, OVER_OTHER_CONVERTERS, converter);
    }

    private static Boolean flag(String text) {
        String known = text.toLowerCase(Locale.ROOT);
        if (!BOOLEANS.contains(known)) {
            throw new IllegalArgumentException(text);
        }
        return Set.of("true", "yes", "on", "y", "t", "1").contains(known);
    }

    private void port(SmallRyeConfig config, String of, int usual, Set<String> found) {
        String key = of + ".port";
        String configured = value(config, key, Integer.toString(usual));
        int port;
        try {
            port = Integer.parseInt(configured.strip());
        } catch (NumberFormatException _) {
            port = -1;
        }
        if (port < 0 || port > LARGEST_PORT) {
            found.add("%s: '%s': expected a port, a number from 0 to %d".formatted(key, configured, LARGEST_PORT));
            return;
        }
        if (port == 0 || value(config, "quarkus.http.so-reuse-port", "").equals("true")) {
            return;
        }
        String host = value(config, of + ".host", "0.0.0.0");
        try (ServerSocket socket = new ServerSocket()) {
            socket.setReuseAddress(true);
            socket.bind(new InetSocketAddress(InetAddress.getByName(host), port));
        } catch (UnknownHostException _) {
            found.add("%s.host: '%s' is not an address of this machine".formatted(of, host));
        } catch (IOException e) {
            String why = String.valueOf(e.getMessage());
            found.add(
                    why.contains("in use")
                            ? "%s: port %d of %s is in use by another program. Stop that, or choose another port: %s=%d"
                                    .formatted(key, port, host, variable(key), Math.min(LARGEST_PORT, port + 1))
                            : "%s: port %d of %s cannot be used: %s"
                                    .formatted(key, port, host, why.toLowerCase(Locale.ROOT)));
        }
    }

    private static String value(SmallRyeConfig config, String key, String usual) {
        ConfigValue value = config.getConfigValue(key);
        return value.getValue() == null || value.getValue().isBlank() ? usual : value.getValue();
    }
}
