/** Tests of {@code dev.penstock.ledger.row}. */
@NullMarked
package dev.penstock.ledger.row;

import org.jspecify.annotations.NullMarked;
