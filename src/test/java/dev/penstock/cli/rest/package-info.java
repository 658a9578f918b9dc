/** Tests of {@code dev.penstock.cli.rest}. */
@NullMarked
package dev.penstock.cli.rest;

import org.jspecify.annotations.NullMarked;
