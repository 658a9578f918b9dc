/** Finds the routing rule of a job, from what is known of the job and its prompt. */
@NullMarked
package dev.penstock.route.match;

import org.jspecify.annotations.NullMarked;
