/** Tests of {@code dev.penstock.cli.view}. */
@NullMarked
package dev.penstock.cli.view;

import org.jspecify.annotations.NullMarked;
