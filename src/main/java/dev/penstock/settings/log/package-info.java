/** Filters log lines: repeated ones go, and text from outside starts no new line. */
@NullMarked
package dev.penstock.settings.log;

import org.jspecify.annotations.NullMarked;
