/** Tests of {@code dev.penstock.route}. */
@NullMarked
package dev.penstock.route;

import org.jspecify.annotations.NullMarked;
