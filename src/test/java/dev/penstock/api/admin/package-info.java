/** Tests of {@code dev.penstock.api.admin}. */
@NullMarked
package dev.penstock.api.admin;

import org.jspecify.annotations.NullMarked;
