/** Tests of {@code dev.penstock.api.call}. */
@NullMarked
package dev.penstock.api.call;

import org.jspecify.annotations.NullMarked;
