/** JSON, names and texts of the outside, parsed strictly with field paths. */
@NullMarked
package dev.penstock.wire;

import org.jspecify.annotations.NullMarked;
