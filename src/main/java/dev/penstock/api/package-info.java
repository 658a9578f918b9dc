/** The REST resources, health and metrics: jobs, event streams, nodes, models. */
@NullMarked
package dev.penstock.api;

import org.jspecify.annotations.NullMarked;
