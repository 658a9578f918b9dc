/** Tests of {@code dev.penstock.thread}. */
@NullMarked
package dev.penstock.thread;

import org.jspecify.annotations.NullMarked;
