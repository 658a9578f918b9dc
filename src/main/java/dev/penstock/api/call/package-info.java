/** Checks each call before its resource handles it, limits its memory and its time, and answers its errors. */
@NullMarked
package dev.penstock.api.call;

import org.jspecify.annotations.NullMarked;
