/** Tests of {@code dev.penstock.cli.job}. */
@NullMarked
package dev.penstock.cli.job;

import org.jspecify.annotations.NullMarked;
