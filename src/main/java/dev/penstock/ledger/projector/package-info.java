/** Reads the topics into the database, and waits until it has caught up with them. */
@NullMarked
package dev.penstock.ledger.projector;

import org.jspecify.annotations.NullMarked;
