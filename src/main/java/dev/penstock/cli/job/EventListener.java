package dev.penstock.cli.job;

/** Receives the events of a job as they arrive. */
public interface EventListener {
    /** Receives each valid event, including the outcome. */
    void on(ValidEvent event) throws Problem;

    /** Receives a note about the connection, such as an interruption. */
    void note(String line);
}
