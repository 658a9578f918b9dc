package dev.penstock.cli.view;

/** Prints a note if the program is interrupted before this note is closed. */
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
            // the program was interrupted, and the note is being printed
        }
    }
}
