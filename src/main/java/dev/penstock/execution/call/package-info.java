/** The requests of one attempt: one to its node, and a second one to another node if the first one is silent. */
@NullMarked
package dev.penstock.execution.call;

import org.jspecify.annotations.NullMarked;
