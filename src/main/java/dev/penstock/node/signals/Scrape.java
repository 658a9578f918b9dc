package dev.penstock.node.signals;

/** The result of asking a server for its load. */
public sealed interface Scrape {
    record Seen(SignalSource source, Signals signals) implements Scrape {}

    /** The backend reports no load. */
    record None() implements Scrape {}

    /** @param why why there are no figures, in one line */
    record Failed(String why) implements Scrape {}
}
