/** The commands and their options. */
@NullMarked
package dev.penstock.cli.command;

import org.jspecify.annotations.NullMarked;
