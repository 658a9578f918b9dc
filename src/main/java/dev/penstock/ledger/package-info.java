/** What became of each job: a projection of the topics in a database, its queries, and who ends jobs that no worker gets to. */
@NullMarked
package dev.penstock.ledger;

import org.jspecify.annotations.NullMarked;
