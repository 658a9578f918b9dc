/** Asks the broker for the state of the queue once a second, and keeps the warnings for the operator. */
@NullMarked
package dev.penstock.intake.watch;

import org.jspecify.annotations.NullMarked;
