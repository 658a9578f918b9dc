package dev.penstock.settings.start;

import dev.penstock.settings.read.ConfigMistake;
import dev.penstock.settings.read.SettingsReader;
import dev.penstock.wire.Reason;
import io.smallrye.config.ConfigValidationException;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.logging.Filter;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/**
 * Prints a plain message if a configuration value made the start fail. Without this filter, Quarkus prints a stack
 * trace.
 */
public final class StartFailure implements Filter {
    /** A constant, because a logger without a reference would lose its filter. */
    private static final Logger OF_QUARKUS = Logger.getLogger("io.quarkus.runtime.Application");

    private static final int MOST_CAUSES = 20;

    private final Consumer<String> errors;

    /** @param errors receives the messages */
    StartFailure(Consumer<String> errors) {
        this.errors = errors;
    }

    /** Installs this filter, which prints to the error output. */
    public static void showPlainly() {
        OF_QUARKUS.setFilter(new StartFailure(System.err::println));
    }

    @Override
    public boolean isLoggable(LogRecord record) {
        Optional<String> words = Optional.ofNullable(record.getThrown()).flatMap(StartFailure::words);
        words.ifPresent(errors);
        return words.isEmpty();
    }

    /** Returns the message; empty if no configuration value made the start fail. Then the stack trace is useful. */
    static Optional<String> words(Throwable failure) {
        Throwable cause = failure;
        for (int i = 0; cause != null && i < MOST_CAUSES; i++) {
            if (cause instanceof ConfigValidationException invalid) {
                List<String> mistakes = new ArrayList<>();
                for (int j = 0; j < invalid.getProblemCount(); j++) {
                    mistakes.add(
                            ConfigMistake.of(invalid.getProblem(j).getMessage()).toString());
                }
                return Optional.of(SettingsReader.listed(mistakes));
            }
            boolean ofValue = cause instanceof IllegalArgumentException
                    || cause instanceof NoSuchElementException
                    || cause instanceof UnknownHostException;
            if (ofValue && cause.getMessage() != null) {
                return Optional.of(SettingsReader.listed(List.of(
                        ConfigMistake.of(Reason.plain(cause.getMessage())).toString())));
            }
            cause = cause.getCause();
        }
        return Optional.empty();
    }
}
