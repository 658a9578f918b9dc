/** The output for the terminal: text, JSON lines, tables and progress. */
@NullMarked
package dev.penstock.cli.view;

import org.jspecify.annotations.NullMarked;
