/** Writes events to the reply topic, and reads them back for watchers and for the recovery of redelivered jobs. */
@NullMarked
package dev.penstock.reply;

import org.jspecify.annotations.NullMarked;
