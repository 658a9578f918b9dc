/** Tests of {@code dev.penstock.settings.log}. */
@NullMarked
package dev.penstock.settings.log;

import org.jspecify.annotations.NullMarked;
