package dev.penstock.kafka.share.lane;

/** What a lane does next. */
public sealed interface LaneStep {
    /** A time that never comes. */
    long NEVER = Long.MAX_VALUE;

    /** The request leaves now. */
    record Send(LaneRequest request) implements LaneStep {}

    /** There is nothing to do until this time, unless an event comes. */
    record Idle(long until) implements LaneStep {}
}
