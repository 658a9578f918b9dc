package dev.penstock.wire;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** How jobs are taken from their topics; every replica does it in the same way. */
public enum IntakeMode {
    /** By share groups: Kafka 4.3, or 4.2.1 where it is said. */
    SHARE,
    /** By consumer groups: any broker that speaks Kafka's protocol. */
    CLASSIC;

    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    public static Optional<IntakeMode> of(String name) {
        return Arrays.stream(values())
                .filter(mode -> mode.wireName().equals(name))
                .findFirst();
    }
}
