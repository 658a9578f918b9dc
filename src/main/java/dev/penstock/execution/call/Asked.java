package dev.penstock.execution.call;

import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.settings.Rule;
import org.jspecify.annotations.Nullable;

/**
 * What an attempt asks a node for.
 *
 * @param rule the job's routing rule
 * @param continued the published text that the answer continues; null if the answer starts over
 */
public record Asked(PromptJob job, Rule rule, @Nullable PublishedText continued) {}
