package dev.penstock.job;

import java.util.Locale;

/** The order in which jobs wait for a node; the first goes first, none pre-empts. */
public enum Priority {
    HIGH,
    NORMAL,
    LOW;

    /** The name on the wire and in the configuration. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
