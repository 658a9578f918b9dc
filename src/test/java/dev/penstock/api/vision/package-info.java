/** Tests of {@code dev.penstock.api.vision}. */
@NullMarked
package dev.penstock.api.vision;

import org.jspecify.annotations.NullMarked;
