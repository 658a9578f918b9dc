/**
 * The protocol of each kind of model server. It writes requests, and reads lists of models. It has no state and does no
 * I/O.
 */
@NullMarked
package dev.penstock.node.protocol;

import org.jspecify.annotations.NullMarked;
