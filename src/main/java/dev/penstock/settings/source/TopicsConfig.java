package dev.penstock.settings.source;

import io.smallrye.config.WithDefault;

/** The names of Penstock's own topics. */
public interface TopicsConfig {
    @WithDefault("prompt-jobs-high")
    String jobsHigh();

    @WithDefault("prompt-jobs")
    String jobs();

    @WithDefault("prompt-jobs-low")
    String jobsLow();

    @WithDefault("prompt-jobs-deferred")
    String deferred();

    @WithDefault("prompt-replies")
    String replies();

    @WithDefault("prompt-commands")
    String commands();

    @WithDefault("prompt-jobs-dlq")
    String dlq();

    @WithDefault("penstock-settings")
    String settings();

    @WithDefault("penstock-usage")
    String usage();

    @WithDefault("prompt-webhooks")
    String webhooks();
}
