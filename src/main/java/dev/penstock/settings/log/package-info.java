/** Filters log lines: drops repeated lines, and prevents text from outside from starting a new line. */
@NullMarked
package dev.penstock.settings.log;

import org.jspecify.annotations.NullMarked;
