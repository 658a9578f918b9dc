/** Submits a file of jobs, and writes the file of their results. */
@NullMarked
package dev.penstock.cli.batch;

import org.jspecify.annotations.NullMarked;
