/** Ends jobs that no worker gets to, checks the ledger against the topics, and deletes old rows. */
@NullMarked
package dev.penstock.ledger.janitor;

import org.jspecify.annotations.NullMarked;
