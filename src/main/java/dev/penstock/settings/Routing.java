package dev.penstock.settings;

import java.util.List;

/**
 * The routing rules. The first rule that matches a job decides about it.
 *
 * @param cloudFallback whether a job without targets and pins may go to the pool cloud after all other pools
 */
public record Routing(List<Rule> rules, boolean cloudFallback) {
    /** No rules, and no prompt to the cloud. */
    public static final Routing NONE = new Routing(List.of(), false);

    public Routing {
        rules = List.copyOf(rules);
    }
}
