package dev.penstock.cli;

/** Who is shown the events of a job as they come. */
interface EventListener {
    /** An event that counts; the outcome too. */
    void on(ValidEvent event) throws Problem;

    /** Something about the connection. */
    void note(String line);
}
