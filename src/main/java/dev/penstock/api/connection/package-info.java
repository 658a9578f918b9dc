/** Follows each connection and each call to its end, and closes those that hold their place without use. */
@NullMarked
package dev.penstock.api.connection;

import org.jspecify.annotations.NullMarked;
