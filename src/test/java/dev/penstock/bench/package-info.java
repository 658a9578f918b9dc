/**
 * The harness for the project's figures: broker, upstream, Penstock and the programs for comparison, each in a
 * process of its own.
 */
@NullMarked
package dev.penstock.bench;

import org.jspecify.annotations.NullMarked;
