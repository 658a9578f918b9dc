/** Seeded load and faults on a whole installation, and a checker of what must hold afterwards. */
@NullMarked
package dev.penstock.chaos;

import org.jspecify.annotations.NullMarked;
