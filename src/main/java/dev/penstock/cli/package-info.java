/** The same program as a client: submit, watch, cancel, nodes, models. */
@NullMarked
package dev.penstock.cli;

import org.jspecify.annotations.NullMarked;
