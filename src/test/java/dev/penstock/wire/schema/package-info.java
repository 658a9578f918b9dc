/** Tests the schemas of users, also those that want to do harm. */
@NullMarked
package dev.penstock.wire.schema;

import org.jspecify.annotations.NullMarked;
