/** The vocabulary: jobs, events, failures, usage and the reading rule; depends on nothing but the JDK. */
@NullMarked
package dev.penstock.job;

import org.jspecify.annotations.NullMarked;
