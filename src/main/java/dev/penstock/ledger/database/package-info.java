/** The ledger database: the connection, rows, positions and queries. */
@NullMarked
package dev.penstock.ledger.database;

import org.jspecify.annotations.NullMarked;
