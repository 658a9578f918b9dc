/** Tests of {@code dev.penstock.api.connection}. */
@NullMarked
package dev.penstock.api.connection;

import org.jspecify.annotations.NullMarked;
