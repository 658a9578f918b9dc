/** Tests of {@code dev.penstock.ledger}. */
@NullMarked
package dev.penstock.ledger;

import org.jspecify.annotations.NullMarked;
