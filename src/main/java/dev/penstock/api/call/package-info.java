/** Checks each call before its resource handles it, limits the memory and the time of the call, and answers errors. */
@NullMarked
package dev.penstock.api.call;

import org.jspecify.annotations.NullMarked;
