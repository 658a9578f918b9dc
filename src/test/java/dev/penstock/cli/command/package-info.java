/** Tests of {@code dev.penstock.cli.command}. */
@NullMarked
package dev.penstock.cli.command;

import org.jspecify.annotations.NullMarked;
