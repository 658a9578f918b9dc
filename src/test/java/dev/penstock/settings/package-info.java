/** Tests of {@code dev.penstock.settings}. */
@NullMarked
package dev.penstock.settings;

import org.jspecify.annotations.NullMarked;
