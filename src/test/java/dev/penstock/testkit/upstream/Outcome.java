package dev.penstock.testkit.upstream;

/** How a request ended. */
public enum Outcome {
    /** Not yet. */
    IN_FLIGHT,
    /** The last byte of the response was written, whatever it said. */
    FINISHED,
    /** The client closed the connection before the end. */
    CANCELLED,
    /** The server closed the connection before the end: because the script said so, or because it was stopped. */
    DROPPED
}
