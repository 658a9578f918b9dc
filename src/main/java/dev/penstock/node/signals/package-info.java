/** What a model server says about its own load, and how that corrects this replica's counters. */
@NullMarked
package dev.penstock.node.signals;

import org.jspecify.annotations.NullMarked;
