/** Contains the entry point of the program, and starts and drains the parts of the service in a fixed order. */
@NullMarked
package dev.penstock.app;

import org.jspecify.annotations.NullMarked;
