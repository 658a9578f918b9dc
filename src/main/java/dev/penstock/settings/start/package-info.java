/** The checks at the start: the configuration, and the broker. */
@NullMarked
package dev.penstock.settings.start;

import org.jspecify.annotations.NullMarked;
