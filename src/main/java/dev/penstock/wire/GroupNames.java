package dev.penstock.wire;

import java.util.regex.Pattern;

/**
 * What the consumer groups of an installation are called. Two installations on one Kafka have different prefixes.
 *
 * @param prefix stands before every name; empty by default
 */
public record GroupNames(String prefix) {
    /** What a prefix may be: the characters of a topic's name, so that an ACL and a shell take it as it is. */
    public static final String RULE = "expected at most 100 characters of A-Z a-z 0-9 . _ -";

    private static final Pattern VALID = Pattern.compile("[A-Za-z0-9._-]{0,100}");
    private static final String OF_TOPIC = "penstock.";
    private static final String LEDGER = "penstock-ledger";

    public GroupNames {
        if (!isValid(prefix)) {
            throw new IllegalArgumentException("'%s': %s".formatted(prefix, RULE));
        }
    }

    public static boolean isValid(String prefix) {
        return VALID.matcher(prefix).matches();
    }

    /** The group that takes the records of a topic: of jobs, or of jobs that were deferred. */
    public String of(String topic) {
        return prefix + OF_TOPIC + topic;
    }

    /** The group that every replica joins. */
    public String ledger() {
        return prefix + LEDGER;
    }

    /** Whether a group would take the records of this topic for an installation with another prefix. */
    public boolean isOthers(String group, String topic) {
        return group.endsWith(OF_TOPIC + topic) && !group.equals(of(topic)) && isValid(others(group, topic));
    }

    private static String others(String group, String topic) {
        return group.substring(0, group.length() - OF_TOPIC.length() - topic.length());
    }
}
