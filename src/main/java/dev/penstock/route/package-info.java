/** Decides which nodes may serve a job, and in which order. The decision is a pure function. */
@NullMarked
package dev.penstock.route;

import org.jspecify.annotations.NullMarked;
