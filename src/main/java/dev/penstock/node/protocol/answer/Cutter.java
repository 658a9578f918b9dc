package dev.penstock.node.protocol.answer;

/**
 * Cuts the bytes of one answer's body into the pieces that its parser reads. Not thread-safe: the event loop of the
 * connection owns it.
 */
public sealed interface Cutter permits LineSplitter, EventSplitter {
    /** @return false if a piece is too long; then the stream is unusable */
    boolean feed(byte[] bytes);

    /** Ends the body. The rest of the body is the last piece. */
    void end();
}
