package dev.penstock.cli;

/** Prints a note when the program is interrupted, until it is closed. */
final class InterruptNote implements AutoCloseable {
    private final Thread hook;

    InterruptNote(Terminal terminal, String line) {
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
