package dev.penstock.settings.log;

import dev.penstock.wire.Printable;
import io.quarkus.logging.LoggingFilter;
import java.util.Map;
import java.util.Set;
import java.util.logging.Filter;
import java.util.logging.LogRecord;
import org.jboss.logmanager.ExtFormatter;
import org.jboss.logmanager.ExtLogRecord;
import org.jboss.logmanager.formatters.PatternFormatter;
import org.jspecify.annotations.Nullable;

/**
 * Filters each log line before any formatter. It drops repeated lines of libraries, and their reports that a client
 * closed its connection. It escapes control characters, so that text from callers, servers and records cannot start a
 * new line or control the terminal. Stack traces keep their lines.
 */
@LoggingFilter(name = "penstock-log-lines")
public final class LogLines implements Filter {
    private static final int MOST_CAUSES = 20;
    private static final String CONNECTION = "io.vertx.core.net.impl.ConnectionBase";
    /** The system's messages after the other side has closed a connection. They are not errors of the service. */
    private static final Set<String> LEFT = Set.of("Connection reset", "Connection reset by peer", "Broken pipe");

    private static final ExtFormatter MESSAGES = new PatternFormatter("%s");

    private final RepeatedLines repeated = new RepeatedLines();

    @Override
    public boolean isLoggable(LogRecord record) {
        boolean left = CONNECTION.equals(record.getLoggerName()) && LEFT.contains(String.valueOf(record.getMessage()));
        if (left || !repeated.isLoggable(record)) {
            return false;
        }
        clean(record);
        return true;
    }

    private static void clean(LogRecord record) {
        if (record instanceof ExtLogRecord line) {
            String message = MESSAGES.formatMessage(line);
            if (message != null && !isClean(message)) {
                line.setMessage(Printable.line(message), ExtLogRecord.FormatStyle.NO_FORMAT);
                line.setParameters(null);
            }
            for (Map.Entry<String, String> field : line.getMdcCopy().entrySet()) {
                if (field.getValue() != null && !isClean(field.getValue())) {
                    line.putMdc(field.getKey(), Printable.line(field.getValue()));
                }
            }
        } else if (record.getMessage() != null) {
            record.setMessage(Printable.line(record.getMessage()));
        }
        Throwable thrown = record.getThrown();
        if (thrown != null && !isClean(thrown, MOST_CAUSES)) {
            record.setThrown(new CleanThrowable(thrown, MOST_CAUSES));
        }
    }

    private static boolean isClean(String text) {
        return Printable.line(text).equals(text);
    }

    /** @param depth limits the recursion, because causes may form a circle */
    private static boolean isClean(Throwable thrown, int depth) {
        if (depth == 0) {
            return false;
        }
        for (Throwable suppressed : thrown.getSuppressed()) {
            if (!isClean(suppressed, depth - 1)) {
                return false;
            }
        }
        Throwable cause = thrown.getCause();
        return isClean(String.valueOf(thrown)) && (cause == null || isClean(cause, depth - 1));
    }

    /** Prints like another exception, but with the message on one line. */
    private static final class CleanThrowable extends Throwable {
        private static final long serialVersionUID = 1L;
        private final String line;

        CleanThrowable(Throwable thrown, int depth) {
            super(message(thrown), cause(thrown, depth));
            line = Printable.line(String.valueOf(thrown));
            setStackTrace(thrown.getStackTrace());
            if (depth > 1) {
                for (Throwable suppressed : thrown.getSuppressed()) {
                    addSuppressed(new CleanThrowable(suppressed, depth - 1));
                }
            }
        }

        private static @Nullable String message(Throwable thrown) {
            String message = thrown.getMessage();
            return message == null ? null : Printable.line(message);
        }

        private static @Nullable Throwable cause(Throwable thrown, int depth) {
            Throwable cause = thrown.getCause();
            return cause == null || depth == 1 ? null : new CleanThrowable(cause, depth - 1);
        }

        @Override
        @SuppressWarnings("OverrideThrowableToString") // the text begins with the name of the other class
        public String toString() {
            return line;
        }
    }
}
