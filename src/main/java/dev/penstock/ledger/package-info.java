/**
 * Keeps the state and the outcome of each job: projects the topics into a database, answers queries, and ends jobs that
 * no replica ends.
 */
@NullMarked
package dev.penstock.ledger;

import org.jspecify.annotations.NullMarked;
