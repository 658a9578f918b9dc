package dev.penstock.kafka.share.lane;

/** What an error code of the broker means for this client. */
public enum BrokerCode {
    NONE,
    /** Another consumer owns the record, or no consumer does. */
    NOT_OURS,
    /** The partition has another leader, or is unknown there. Its locks are gone. */
    MOVED,
    /** The broker does not know the session in this epoch. A new session continues. */
    SESSION_GONE,
    /** The broker has no room for another session. */
    SESSION_LIMIT,
    /** The group does not know the member in this epoch. */
    UNKNOWN_MEMBER,
    /** The group has as many members as it may have. */
    MEMBER_LIMIT,
    /** Another broker coordinates the group. */
    NOT_COORDINATOR,
    /** The same request may succeed soon. */
    RETRY,
    /** The request fails until a person changes something: authorization, version, configuration. */
    REFUSED
}
