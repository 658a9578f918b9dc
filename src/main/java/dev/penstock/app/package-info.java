/** Starts and stops the program: its entry point, and the order in which the parts of the service start and drain. */
@NullMarked
package dev.penstock.app;

import org.jspecify.annotations.NullMarked;
