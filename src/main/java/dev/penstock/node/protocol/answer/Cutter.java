package dev.penstock.node.protocol.answer;

/**
 * Cuts the bytes of one answer's body into the pieces that its parser reads. Not thread-safe: the event loop of the
 * connection owns it.
 */
public sealed interface Cutter permits LineSplitter, EventSplitter {
    /** @return false if a piece is too long; then the stream is unusable */
    boolean feed(byte[] bytes);

    /** The body has ended, and the rest is a piece too. */
    void end();
}
