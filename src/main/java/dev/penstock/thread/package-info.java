/** Threads that survive an unexpected exception, and requests that share one answer. */
@NullMarked
package dev.penstock.thread;

import org.jspecify.annotations.NullMarked;
