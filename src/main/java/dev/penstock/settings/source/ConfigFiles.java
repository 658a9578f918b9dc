package dev.penstock.settings.source;

import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.source.yaml.YamlConfigSource;
import java.io.IOException;
import java.io.Reader;
import java.io.StringReader;
import java.net.URI;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.function.Consumer;
import org.eclipse.microprofile.config.spi.ConfigSource;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.Mark;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;

/**
 * Reads the configuration files before the service starts, so that it can report each mistake with its file, line and
 * column.
 */
public final class ConfigFiles {
    private static final List<String> NAMES = List.of("application.yaml", "application.yml", "application.properties");
    private static final int ORDINAL = 265;

    private final Path folder;
    private final Consumer<String> mistakes;
    /** The keys and values of each file. The files are in the order of precedence. */
    private final Map<Path, Map<String, String>> read = new LinkedHashMap<>();

    /**
     * @param folder the working directory
     * @param mistakes receives every mistake
     */
    public ConfigFiles(Path folder, Consumer<String> mistakes) {
        this.folder = folder;
        this.mistakes = mistakes;
    }

    /**
     * Reads the files that Quarkus reads.
     *
     * @param key the key that lists further files
     * @param locations the further files, separated by commas; empty if there are none
     */
    public void read(String key, String locations) {
        readFolder(folder.resolve("config"));
        for (String location : locations.split(",", -1)) {
            if (!location.isBlank()) {
                readLocation(key, location.strip());
            }
        }
    }

    private void readLocation(String key, String location) {
        Path path;
        try {
            path = location.startsWith("file:") ? Path.of(URI.create(location)) : folder.resolve(location);
        } catch (IllegalArgumentException _) {
            mistakes.accept("%s: '%s' is not the path of a file".formatted(key, location));
            return;
        }
        if (Files.isDirectory(path)) {
            readFolder(path);
        } else if (Files.exists(path)) {
            readFile(path);
        } else if (!location.contains("://")) {
            mistakes.accept("%s: there is no file %s. Create it, or name another".formatted(key, location));
        }
    }

    private void readFolder(Path config) {
        NAMES.stream().map(config::resolve).filter(Files::exists).forEach(this::readFile);
    }

    private void readFile(Path file) {
        String text;
        try {
            text = Files.readString(file);
        } catch (AccessDeniedException _) {
            mistakes.accept("%s: this process may not read it. Change its owner or mode".formatted(shown(file)));
            return;
        } catch (NoSuchFileException _) {
            return;
        } catch (IOException _) {
            mistakes.accept("%s: cannot be read: it must be a file of text in UTF-8".formatted(shown(file)));
            return;
        }
        try {
            read.put(file, file.toString().endsWith(".properties") ? properties(text) : yaml(file, text));
        } catch (MarkedYAMLException e) {
            Mark mark = e.getProblemMark() == null ? e.getContextMark() : e.getProblemMark();
            String where =
                    mark == null ? "" : ", line %d, column %d".formatted(mark.getLine() + 1, mark.getColumn() + 1);
            mistakes.accept("%s%s: %s".formatted(shown(file), where, words(e)));
        } catch (YAMLException e) {
            mistakes.accept("%s: %s"
                    .formatted(
                            shown(file),
                            String.valueOf(e.getMessage()).lines().findFirst().orElse("it is not YAML")));
        } catch (IOException | IllegalArgumentException e) {
            mistakes.accept("%s: %s"
                    .formatted(shown(file), String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT)));
        }
    }

    private static String words(MarkedYAMLException e) {
        String problem = String.valueOf(e.getProblem());
        String context = e.getContext() == null || e.getContext().isBlank() ? "" : e.getContext() + ": ";
        String advice = problem.contains("\\t") ? ". Indent with spaces" : "";
        return (context + problem + advice).replace('\n', ' ').replace("<", "").replace(">", "");
    }

    private Map<String, String> yaml(Path file, String text) throws IOException {
        LoaderOptions options = new LoaderOptions();
        options.setAllowDuplicateKeys(false);
        Object document = new Yaml(new SafeConstructor(options)).load(new StringReader(text));
        if (document == null) {
            return Map.of();
        }
        if (!(document instanceof Map)) {
            mistakes.accept("%s: expected keys with values, such as penstock:".formatted(shown(file)));
            return Map.of();
        }
        return new YamlConfigSource(shown(file), text).getProperties();
    }

    private static Map<String, String> properties(String text) throws IOException {
        Properties properties = new Properties();
        try (Reader reader = new StringReader(text)) {
            properties.load(reader);
        }
        Map<String, String> all = new HashMap<>();
        properties.stringPropertyNames().forEach(name -> all.put(name, properties.getProperty(name)));
        return all;
    }

    private String shown(Path file) {
        Path path = file.toAbsolutePath().normalize();
        Path base = folder.toAbsolutePath().normalize();
        return path.startsWith(base) ? base.relativize(path).toString() : path.toString();
    }

    /** @param without the keys to omit */
    public List<ConfigSource> sources(Set<String> without) {
        List<ConfigSource> sources = new ArrayList<>();
        read.forEach((file, keys) -> {
            Map<String, String> kept = new HashMap<>(keys);
            kept.keySet().removeAll(without);
            sources.add(new PropertiesConfigSource(kept, shown(file), ORDINAL));
        });
        return sources;
    }
}
