/** Parses JSON, names and texts from outside strictly. Error messages have the path of the field. */
@NullMarked
package dev.penstock.wire;

import org.jspecify.annotations.NullMarked;
