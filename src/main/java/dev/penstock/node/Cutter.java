package dev.penstock.node;

/** Cuts the bytes of one answer's body into what its parser reads. Not thread-safe: owned by the event loop of the connection. */
sealed interface Cutter permits LineSplitter, EventSplitter {
    /** @return false when a piece is too long: the stream is of no use any more */
    boolean feed(byte[] bytes);

    /** The body has ended: what is left is a piece too. */
    void end();
}
