/** Events leave on the reply topic and are read back: for watchers, and to recover a redelivered job. */
@NullMarked
package dev.penstock.reply;

import org.jspecify.annotations.NullMarked;
