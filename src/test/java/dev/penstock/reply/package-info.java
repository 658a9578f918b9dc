/** Tests of {@code dev.penstock.reply}. */
@NullMarked
package dev.penstock.reply;

import org.jspecify.annotations.NullMarked;
