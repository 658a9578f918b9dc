/** Tests of {@code dev.penstock.api.jobs}. */
@NullMarked
package dev.penstock.api.jobs;

import org.jspecify.annotations.NullMarked;
