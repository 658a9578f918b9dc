/** Threads that survive an unexpected exception. */
@NullMarked
package dev.penstock.thread;

import org.jspecify.annotations.NullMarked;
