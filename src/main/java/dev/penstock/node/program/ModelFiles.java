package dev.penstock.node.program;

import dev.penstock.settings.NodeSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Finds the models at a path. The path is a file, or a folder with .gguf files. A model's name is the file's name
 * without .gguf.
 */
public final class ModelFiles {
    private static final String ENDING = ".gguf";
    private static final Pattern PART = Pattern.compile("(.*)-(\\d{5})-of-\\d{5}");

    private ModelFiles() {}

    /** There is no readable model. */
    public static final class Unreadable extends Exception {
        Unreadable(String message) {
            super(message);
        }

        public String reason() {
            return String.valueOf(getMessage());
        }
    }

    /** Returns the models by name; never empty. */
    public static SortedMap<String, Path> of(NodeSettings node, NodeSettings.Program program) throws Unreadable {
        Path path = program.modelPath();
        SortedMap<String, Path> models = new TreeMap<>();
        if (Files.isRegularFile(path)) {
            String name = node.model() == null ? nameOf(path) : node.model();
            models.put(name, readable(path, node));
            return models;
        }
        if (!Files.exists(path)) {
            throw new Unreadable("there is no %s%s".formatted(path, hint(node)));
        }
        try (Stream<Path> files = Files.list(path)) {
            files.filter(ModelFiles::isModel).forEach(file -> models.put(nameOf(file), file));
        } catch (IOException _) {
            throw new Unreadable("%s cannot be read by Penstock%s".formatted(path, hint(node)));
        }
        if (models.isEmpty()) {
            throw new Unreadable("there is no .gguf in %s%s".formatted(path, hint(node)));
        }
        return models;
    }

    static Path readable(Path file, NodeSettings node) throws Unreadable {
        if (!Files.isReadable(file)) {
            throw new Unreadable("%s cannot be read by Penstock%s".formatted(file, hint(node)));
        }
        return file;
    }

    private static String hint(NodeSettings node) {
        return " (penstock.nodes.%s.model-path)".formatted(node.name());
    }

    /**
     * Returns whether a file is a model. If a model has several parts, only the first part counts. A projector is not a
     * model.
     */
    private static boolean isModel(Path file) {
        String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
        Matcher part = PART.matcher(withoutEnding(name));
        return name.endsWith(ENDING)
                && !name.startsWith("mmproj")
                && Files.isRegularFile(file)
                && (!part.matches() || part.group(2).equals("00001"));
    }

    public static String nameOf(Path file) {
        return PART.matcher(withoutEnding(String.valueOf(file.getFileName()))).replaceFirst("$1");
    }

    private static String withoutEnding(String name) {
        return name.toLowerCase(Locale.ROOT).endsWith(ENDING)
                ? name.substring(0, name.length() - ENDING.length())
                : name;
    }
}
