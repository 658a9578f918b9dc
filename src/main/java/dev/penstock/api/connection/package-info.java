/** Follows each connection and each call to its end, and closes connections and calls that make no progress. */
@NullMarked
package dev.penstock.api.connection;

import org.jspecify.annotations.NullMarked;
