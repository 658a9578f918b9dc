/** Pure decisions about how many requests a node gets at once. */
@NullMarked
package dev.penstock.node.limits;

import org.jspecify.annotations.NullMarked;
