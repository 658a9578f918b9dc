/** Checks texts against the JSON schemas of users, with bounded time and memory. */
@NullMarked
package dev.penstock.wire.schema;

import org.jspecify.annotations.NullMarked;
