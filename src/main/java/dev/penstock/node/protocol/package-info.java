/** The protocol of each kind of model server: requests out, models in. No state, no I/O. */
@NullMarked
package dev.penstock.node.protocol;

import org.jspecify.annotations.NullMarked;
