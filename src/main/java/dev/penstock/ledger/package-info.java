/**
 * The state and the outcome of each job: a projection of the topics in a database, its queries, and the end of jobs
 * that no worker ends.
 */
@NullMarked
package dev.penstock.ledger;

import org.jspecify.annotations.NullMarked;
