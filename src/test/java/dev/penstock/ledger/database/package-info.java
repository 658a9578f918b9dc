/** Tests of {@code dev.penstock.ledger.database}. */
@NullMarked
package dev.penstock.ledger.database;

import org.jspecify.annotations.NullMarked;
