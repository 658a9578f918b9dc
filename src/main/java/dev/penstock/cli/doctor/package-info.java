/** The command {@code doctor}, which finds out what is wrong with this installation. */
@NullMarked
package dev.penstock.cli.doctor;

import org.jspecify.annotations.NullMarked;
