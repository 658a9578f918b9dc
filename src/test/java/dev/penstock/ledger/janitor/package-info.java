/** Tests of {@code dev.penstock.ledger.janitor}. */
@NullMarked
package dev.penstock.ledger.janitor;

import org.jspecify.annotations.NullMarked;
