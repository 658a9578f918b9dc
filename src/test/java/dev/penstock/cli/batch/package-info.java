/** Tests of {@code dev.penstock.cli.batch}. */
@NullMarked
package dev.penstock.cli.batch;

import org.jspecify.annotations.NullMarked;
