/** The upstream of a node, and the stream of its answer. */
@NullMarked
package dev.penstock.node.upstream;

import org.jspecify.annotations.NullMarked;
