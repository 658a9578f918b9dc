package dev.penstock.wire.record;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** How replicas receive jobs from their topics. All replicas use the same mode. */
public enum IntakeMode {
    /**
     * Replicas use share groups. This needs Kafka 4.3, or Kafka 4.2.1 if the configuration sets this mode explicitly.
     */
    SHARE,
    /** Replicas use consumer groups. Any broker with Kafka's protocol supports them. */
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
