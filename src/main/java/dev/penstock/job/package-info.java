/** The vocabulary: jobs, events, failures, usage and the reading rule. It depends on the JDK only. */
@NullMarked
package dev.penstock.job;

import org.jspecify.annotations.NullMarked;
