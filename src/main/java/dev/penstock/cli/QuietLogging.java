package dev.penstock.cli;

import dev.penstock.cli.view.Terminal;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** Keeps the logs of libraries out of the output. Only their errors appear, each as one line on stderr. */
final class QuietLogging {
    private QuietLogging() {}

    static void on(Terminal terminal) {
        Logger root = Logger.getLogger("");
        for (Handler handler : List.of(root.getHandlers())) {
            root.removeHandler(handler);
        }
        root.setLevel(Level.SEVERE);
        root.addHandler(new Lines(terminal));
    }

    private static final class Lines extends Handler {
        private final Terminal terminal;

        Lines(Terminal terminal) {
            this.terminal = terminal;
        }

        @Override
        public void publish(LogRecord record) {
            if (record.getLevel().intValue() >= Level.SEVERE.intValue()) {
                String text = String.valueOf(record.getMessage());
                terminal.note(text.lines().findFirst().orElse(""));
            }
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }
}
