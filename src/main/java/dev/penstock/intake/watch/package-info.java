/** The state of the queue, as the broker reports it once a second, and what an operator has to act on. */
@NullMarked
package dev.penstock.intake.watch;

import org.jspecify.annotations.NullMarked;
