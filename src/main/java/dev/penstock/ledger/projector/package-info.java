/** Writes the contents of the topics into the database, and lets callers wait until it is up to date. */
@NullMarked
package dev.penstock.ledger.projector;

import org.jspecify.annotations.NullMarked;
