/** Tests of {@code dev.penstock.ledger.projector}. */
@NullMarked
package dev.penstock.ledger.projector;

import org.jspecify.annotations.NullMarked;
