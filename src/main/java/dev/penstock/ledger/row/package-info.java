/** A job in the ledger: its row, its submissions, its timeline, and the changes that records make. */
@NullMarked
package dev.penstock.ledger.row;

import org.jspecify.annotations.NullMarked;
