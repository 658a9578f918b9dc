/** Turns the configuration into domain values, and reports all mistakes at once. */
@NullMarked
package dev.penstock.settings.read;

import org.jspecify.annotations.NullMarked;
