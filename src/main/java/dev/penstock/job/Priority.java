package dev.penstock.job;

import java.util.Locale;

/** The order in which jobs get slots: high before normal before low. */
public enum Priority {
    HIGH(0),
    NORMAL(1),
    LOW(2);

    private final int rank;

    Priority(int rank) {
        this.rank = rank;
    }

    /** Returns the rank. Jobs with a smaller rank get slots first. */
    public int rank() {
        return rank;
    }

    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
