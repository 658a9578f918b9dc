package dev.penstock.cli.view;

/** Prints a note when the program is interrupted, until it is closed. */
public final class InterruptNote implements AutoCloseable {
    private final Thread hook;

    public InterruptNote(Terminal terminal, String line) {
        hook = new Thread(() -> terminal.noteBelow(line), "penstock-interrupted");
        Runtime.getRuntime().addShutdownHook(hook);
    }

    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException _) {
            // the note is being printed
        }
    }
}
