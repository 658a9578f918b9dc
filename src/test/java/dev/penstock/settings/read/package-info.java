/** Tests of {@code dev.penstock.settings.read}. */
@NullMarked
package dev.penstock.settings.read;

import org.jspecify.annotations.NullMarked;
