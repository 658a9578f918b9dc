package dev.penstock.node.program;

import dev.penstock.node.protocol.answer.ServerErrors;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Counts the tokens of a text with llama-tokenize (observed with 0.7.0), which loads only the vocabulary of a model.
 * This is necessary if a program ended before it printed its figures.
 */
final class TokenCount {
    private static final String PROGRAM = "llama-tokenize";
    private static final Pattern TOTAL = Pattern.compile("Total number of tokens: (\\d+)");
    private static final int PATIENCE_SECONDS = 10;

    private TokenCount() {}

    /**
     * @param command the configured command of llama-cli
     * @return the number of tokens; empty if the program is missing or fails
     */
    static OptionalLong of(String text, String command, Path model) {
        Optional<Path> file = Executables.find(command).flatMap(found -> Executables.beside(found, PROGRAM));
        if (file.isEmpty()) {
            return OptionalLong.empty();
        }
        List<String> options = List.of("--stdin", "--ids", "--show-count", "--log-disable", "--no-bos", "--no-escape");
        ProcessBuilder builder = new ProcessBuilder(file.get().toString(), "-m", model.toString())
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.command().addAll(options);
        try {
            Process process = builder.start();
            try {
                return count(process, text);
            } finally {
                process.destroyForcibly();
            }
        } catch (IOException _) {
            return OptionalLong.empty();
        }
    }

    private static OptionalLong count(Process process, String text) throws IOException {
        var _ = process.onExit()
                .orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                .exceptionally(_ -> process.destroyForcibly());
        try (OutputStream input = process.getOutputStream()) {
            input.write(text.getBytes(StandardCharsets.UTF_8));
        }
        try (BufferedReader lines = process.inputReader()) {
            return lines.lines()
                    .map(TOTAL::matcher)
                    .filter(Matcher::find)
                    .mapToLong(found -> ServerErrors.number(found.group(1)))
                    .findFirst();
        }
    }
}
