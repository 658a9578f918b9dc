package dev.penstock.cli.view;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.ValidEvent;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Shows the progress of pulls on stderr: on a terminal as bars that are redrawn, else as a line from time to time. */
public final class PullProgress implements AutoCloseable {
    private static final int BAR = 24;
    private static final double EVERY_PERCENT = 10;
    private static final double MEGABYTE = 1_000_000;

    private final Terminal terminal;
    private final String model;
    private final Map<String, JsonNode> running = new LinkedHashMap<>();
    private final Map<String, String> shown = new HashMap<>();
    private boolean drawn;

    public PullProgress(Terminal terminal, String model) {
        this.terminal = terminal;
        this.model = model;
    }

    /** Sets a node's progress from the service's report. */
    public void at(String node, JsonNode progress) {
        running.put(node, progress);
        if (terminal.redraws()) {
            draw();
            return;
        }
        double percent = progress.path("percent").asDouble();
        String step = progress.path("status").asText() + " " + (int) (percent / EVERY_PERCENT);
        if (!step.equals(shown.put(node, step))) {
            terminal.note(node + ": " + numbers(progress));
        }
    }

    /** @param error the failure of the pull; null if the node has the model */
    public void end(String node, @Nullable JsonNode error) {
        running.remove(node);
        clear();
        terminal.note(
                error == null
                        ? "%s: %s is there".formatted(node, model)
                        : "%s: %s".formatted(node, ValidEvent.failure(error)));
        draw();
    }

    private void draw() {
        if (terminal.redraws() && !running.isEmpty()) {
            drawn = true;
            String line = running.entrySet().stream()
                    .map(pull -> pull.getKey() + " " + bar(pull.getValue()))
                    .collect(Collectors.joining("  "));
            terminal.redraw(line);
        }
    }

    private void clear() {
        if (drawn) {
            terminal.redraw("");
        }
        drawn = false;
    }

    static String bar(JsonNode progress) {
        int filled = (int) (BAR * Math.min(100, progress.path("percent").asDouble()) / 100);
        return "[" + "#".repeat(filled) + ".".repeat(BAR - filled) + "] " + numbers(progress);
    }

    static String numbers(JsonNode progress) {
        StringBuilder text = new StringBuilder();
        if (progress.hasNonNull("percent")) {
            text.append(String.format(
                    Locale.ROOT, "%.1f %%, ", progress.path("percent").asDouble()));
        }
        if (progress.path("total").asLong() > 0) {
            text.append(String.format(
                    Locale.ROOT,
                    "%.1f of %.1f MB, ",
                    progress.path("completed").asLong() / MEGABYTE,
                    progress.path("total").asLong() / MEGABYTE));
        }
        return text.append(progress.path("status").asText()).toString();
    }

    @Override
    public void close() {
        clear();
    }
}
