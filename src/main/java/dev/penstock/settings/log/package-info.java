/** The log lines that Penstock rewrites or drops. */
@NullMarked
package dev.penstock.settings.log;

import org.jspecify.annotations.NullMarked;
