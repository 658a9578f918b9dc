package dev.penstock.wire.record;

import java.util.regex.Pattern;

/**
 * The names of an installation's consumer groups. Two installations on one Kafka have different prefixes.
 *
 * @param prefix the beginning of every name; empty by default
 */
public record GroupNames(String prefix) {
    /**
     * The rule for a prefix. It allows the characters of a topic's name, so that an ACL and a shell accept the prefix
     * unchanged.
     */
    public static final String RULE = "expected at most 100 characters of A-Z a-z 0-9 . _ -";

    private static final Pattern VALID = Pattern.compile("[A-Za-z0-9._-]{0,100}");
    private static final String OF_TOPIC = "penstock.";
    private static final String LEDGER = "penstock-ledger";
    private static final String WEBHOOKS = "penstock-webhooks";

    public GroupNames {
        if (!isValid(prefix)) {
            throw new IllegalArgumentException("'%s': %s".formatted(prefix, RULE));
        }
    }

    public static boolean isValid(String prefix) {
        return VALID.matcher(prefix).matches();
    }

    /** Returns the group that consumes a job topic, or the topic of deferred records. */
    public String of(String topic) {
        return prefix + OF_TOPIC + topic;
    }

    /** Returns the group that every replica joins. */
    public String ledger() {
        return prefix + LEDGER;
    }

    /** Returns the group that posts outcomes to webhooks. */
    public String webhooks() {
        return prefix + WEBHOOKS;
    }

    /** Returns whether a group consumes this topic for an installation with another prefix. */
    public boolean isOthers(String group, String topic) {
        return group.endsWith(OF_TOPIC + topic) && !group.equals(of(topic)) && isValid(others(group, topic));
    }

    private static String others(String group, String topic) {
        return group.substring(0, group.length() - OF_TOPIC.length() - topic.length());
    }
}
