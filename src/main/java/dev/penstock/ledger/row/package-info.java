/** A job in the ledger: its row, its submissions, its timeline, and what an event changes. */
@NullMarked
package dev.penstock.ledger.row;

import org.jspecify.annotations.NullMarked;
