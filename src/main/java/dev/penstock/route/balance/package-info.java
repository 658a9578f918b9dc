/** Decides which node of a pool a job takes, and whether its prompt fits there, from figures alone. */
@NullMarked
package dev.penstock.route.balance;

import org.jspecify.annotations.NullMarked;
