/** Tests of {@code dev.penstock.api.direct}. */
@NullMarked
package dev.penstock.api.direct;

import org.jspecify.annotations.NullMarked;
