/** Tests of {@code dev.penstock.node.http}. */
@NullMarked
package dev.penstock.node.http;

import org.jspecify.annotations.NullMarked;
