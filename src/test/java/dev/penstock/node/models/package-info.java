/** Tests of {@code dev.penstock.node.models}. */
@NullMarked
package dev.penstock.node.models;

import org.jspecify.annotations.NullMarked;
