/** Tests of {@code dev.penstock.settings.start}. */
@NullMarked
package dev.penstock.settings.start;

import org.jspecify.annotations.NullMarked;
