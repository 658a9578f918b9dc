/** The documents of the outside: jobs, events and errors as JSON, parsed strictly with field paths. */
@NullMarked
package dev.penstock.wire;

import org.jspecify.annotations.NullMarked;
