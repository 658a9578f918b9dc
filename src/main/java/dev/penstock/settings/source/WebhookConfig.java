package dev.penstock.settings.source;

import io.smallrye.config.WithDefault;
import java.time.Duration;

/** A receiver of the outcomes of jobs. */
public interface WebhookConfig {
    /** The address to which Penstock posts outcomes: http or https. */
    String url();

    /**
     * The secret that signs each request: whsec_ and 24 to 64 bytes in base64. While a secret is being replaced, both
     * secrets, separated by a space.
     */
    String secret();

    /** The longest time from the connection to the status of the receiver's answer. */
    @WithDefault("15s")
    Duration timeout();
}
