package dev.penstock.settings.source;

import io.smallrye.config.WithDefault;

/** How direct calls and jobs share the line for the nodes. */
public interface AdmissionConfig {
    /** The maximum number of direct calls that wait for a node in this replica. */
    @WithDefault("1000")
    int maxWaiting();

    /** The share of a node's slots that is kept for direct calls while both calls and jobs wait for it; 0 to 1. */
    @WithDefault("0.25")
    double interactiveShare();
}
