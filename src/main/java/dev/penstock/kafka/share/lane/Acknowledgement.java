package dev.penstock.kafka.share.lane;

/** What the broker does with a record. */
public enum Acknowledgement {
    /** There is no record at the offset. */
    GAP(0),
    /** The record is done. */
    ACCEPT(1),
    /**
     * The record is done, provided that its lock was never in doubt. If it was, or if the answer to the acknowledgement
     * does not come, the client releases the record: another consumer may have had it before the job ended.
     */
    ACCEPT_UNDOUBTED(1),
    /** Another consumer may have the record at once. Its delivery count stays raised. */
    RELEASE(2),
    /** The record is unusable. The broker does not deliver it again. */
    REJECT(3),
    /** The lock lasts longer. */
    RENEW(4);

    private final byte code;

    Acknowledgement(int code) {
        this.code = (byte) code;
    }

    /** Returns what is left of it when the lock comes into doubt. */
    Acknowledgement afterDoubt() {
        return this == ACCEPT_UNDOUBTED ? RELEASE : this;
    }

    /** Returns the number in the protocol. */
    public byte code() {
        return code;
    }
}
