/** Tests of {@code dev.penstock.webhook}. */
@NullMarked
package dev.penstock.webhook;

import org.jspecify.annotations.NullMarked;
