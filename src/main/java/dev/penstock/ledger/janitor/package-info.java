/** Ends jobs that no replica ends, finds records that the broker dropped, and deletes old jobs. */
@NullMarked
package dev.penstock.ledger.janitor;

import org.jspecify.annotations.NullMarked;
