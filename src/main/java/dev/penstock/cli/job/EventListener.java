package dev.penstock.cli.job;

/** Receives the events of a job as they come. */
public interface EventListener {
    /** A valid event came; the outcome too. */
    void on(ValidEvent event) throws Problem;

    /** Something happened to the connection. */
    void note(String line);
}
