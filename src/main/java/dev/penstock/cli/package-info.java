/** The program as a client: finds the command, runs it and returns its exit code. */
@NullMarked
package dev.penstock.cli;

import org.jspecify.annotations.NullMarked;
