/** The command {@code doctor}: what is wrong with this installation. */
@NullMarked
package dev.penstock.cli.doctor;

import org.jspecify.annotations.NullMarked;
