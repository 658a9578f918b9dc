/** What became of each job, for those who ask. */
@NullMarked
package dev.penstock.ledger;

import org.jspecify.annotations.NullMarked;
