package dev.penstock.settings.source;

import io.smallrye.config.WithDefault;
import java.time.Duration;

/** The timeouts of a request to a node, and of the wait for a node. */
public interface TimeoutsConfig {
    @WithDefault("2s")
    Duration connect();

    /** The longest time from the request to the first token. */
    @WithDefault("120s")
    Duration firstToken();

    /** The longest time between two tokens. */
    @WithDefault("30s")
    Duration idle();

    /** The longest time that a direct call waits for a node. Jobs wait without a limit. */
    @WithDefault("30s")
    Duration queue();
}
