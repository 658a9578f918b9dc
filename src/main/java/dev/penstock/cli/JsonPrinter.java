package dev.penstock.cli;

/** Prints each valid event unchanged, as a line of JSON. */
record JsonPrinter(Terminal terminal) implements EventListener {
    @Override
    public void on(ValidEvent event) throws Problem {
        terminal.line(event.json());
    }

    @Override
    public void note(String line) {
        terminal.note(line);
    }
}
