/** The pure decision which nodes may serve a job, and in which order. */
@NullMarked
package dev.penstock.route;

import org.jspecify.annotations.NullMarked;
