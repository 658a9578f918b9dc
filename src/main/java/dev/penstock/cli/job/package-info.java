/** A job as the client sees it: its submission, its valid events and its problems. */
@NullMarked
package dev.penstock.cli.job;

import org.jspecify.annotations.NullMarked;
