/** A job as the client sees it: what it submits, the events that it accepts, and what goes wrong. */
@NullMarked
package dev.penstock.cli.job;

import org.jspecify.annotations.NullMarked;
