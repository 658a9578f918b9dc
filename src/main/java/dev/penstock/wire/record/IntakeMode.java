package dev.penstock.wire.record;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** How replicas receive jobs from their topics. All replicas use the same mode. */
public enum IntakeMode {
    /** By share groups: Kafka 4.3, or 4.2.1 if the mode is explicit. */
    SHARE,
    /** By consumer groups: any broker with Kafka's protocol. */
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
