package dev.penstock.testkit.upstream;

/** How a request ended. */
public enum Outcome {
    /** Not yet. */
    IN_FLIGHT,
    /** The last byte of the response was written, whatever its content. */
    FINISHED,
    /** The client closed the connection before the end. */
    CANCELLED,
    /** The server closed the connection before the end, because of the script or a stop. */
    DROPPED
}
