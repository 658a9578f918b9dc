/** Tests of {@code dev.penstock.cli.doctor}. */
@NullMarked
package dev.penstock.cli.doctor;

import org.jspecify.annotations.NullMarked;
