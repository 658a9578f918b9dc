package dev.penstock.cli.view;

import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;

/** Prints each valid event unchanged, as a line of JSON. */
public record JsonPrinter(Terminal terminal) implements EventListener {
    @Override
    public void on(ValidEvent event) throws Problem {
        terminal.line(event.json());
    }

    @Override
    public void note(String line) {
        terminal.note(line);
    }
}
