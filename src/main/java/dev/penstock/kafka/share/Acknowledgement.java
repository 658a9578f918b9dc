package dev.penstock.kafka.share;

/** What the broker does with a record. The order is that of the protocol's numbers. */
public enum Acknowledgement {
    /** There is no record at the offset. */
    GAP,
    /** The record is done. */
    ACCEPT,
    /** Another consumer may have the record at once. Its delivery count stays raised. */
    RELEASE,
    /** The record is unusable. The broker does not deliver it again. */
    REJECT,
    /** The lock lasts longer. */
    RENEW;

    /** Returns the number in the protocol. */
    byte code() {
        return (byte) ordinal();
    }

    /** Returns whether the record never runs again after this acknowledgement. */
    boolean isFinal() {
        return this == ACCEPT || this == REJECT;
    }
}
