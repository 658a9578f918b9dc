/** The harness of the project's figures: broker, upstream, Penstock and what it is compared with, each in a process of its own. */
@NullMarked
package dev.penstock.bench;

import org.jspecify.annotations.NullMarked;
