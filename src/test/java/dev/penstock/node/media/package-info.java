/** Tests of {@code dev.penstock.node.media}. */
@NullMarked
package dev.penstock.node.media;

import org.jspecify.annotations.NullMarked;
