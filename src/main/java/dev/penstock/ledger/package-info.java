/** The ledger: what became of each job. */
@NullMarked
package dev.penstock.ledger;

import org.jspecify.annotations.NullMarked;
