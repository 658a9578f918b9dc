/** Tests of {@code dev.penstock.settings.source}. */
@NullMarked
package dev.penstock.settings.source;

import org.jspecify.annotations.NullMarked;
