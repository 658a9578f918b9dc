package dev.penstock.testkit;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Captures the log of a class while this is open: the level and the text of each line. */
public final class LogLines extends Handler implements AutoCloseable {
    private final Logger logger;
    private final @Nullable Level before;
    private final List<String> lines = new CopyOnWriteArrayList<>();

    private LogLines(Logger logger) {
        this.logger = logger;
        before = logger.getLevel();
        // another test may have made the root logger quiet
        logger.setLevel(Level.ALL);
    }

    public static LogLines of(Class<?> type) {
        Logger logger = Logger.getLogger(type.getName());
        LogLines lines = new LogLines(logger);
        logger.addHandler(lines);
        return lines;
    }

    public List<String> lines() {
        return List.copyOf(lines);
    }

    @Override
    public void publish(LogRecord record) {
        Object[] parameters = record.getParameters();
        String message = String.valueOf(record.getMessage());
        lines.add(record.getLevel().getName() + " "
                + (parameters == null || parameters.length == 0 ? message : message.formatted(parameters)));
    }

    @Override
    public void flush() {
        // has no buffer
    }

    @Override
    public void close() {
        logger.removeHandler(this);
        logger.setLevel(before);
    }
}
