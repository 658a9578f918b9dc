/**
 * Prepares the broker before jobs are taken: creates the topics, configures the share groups, and decides the intake
 * mode.
 */
@NullMarked
package dev.penstock.intake.setup;

import org.jspecify.annotations.NullMarked;
