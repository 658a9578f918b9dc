package dev.penstock.wire.record;

import java.util.List;

/** The command line that changes an installation's intake mode. */
public final class MigrateLine {
    private MigrateLine() {}

    /** Returns the command line without options that have their default values. */
    public static String of(
            String brokers, IntakeMode to, List<String> jobs, String deferred, String settings, GroupNames groups) {
        return "penstock intake migrate --kafka %s --to %s".formatted(brokers, to.wireName())
                + option("--topic", String.join(",", jobs), "prompt-jobs-high,prompt-jobs,prompt-jobs-low")
                + option("--deferred-topic", deferred, "prompt-jobs-deferred")
                + option("--settings-topic", settings, "penstock-settings")
                + option("--groups-prefix", groups.prefix(), "");
    }

    private static String option(String name, String value, String byDefault) {
        return value.equals(byDefault) ? "" : " %s %s".formatted(name, value);
    }
}
