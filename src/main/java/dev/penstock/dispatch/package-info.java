/** The whole flow of a job: one virtual thread per running job, attempts, cancelling. */
@NullMarked
package dev.penstock.dispatch;

import org.jspecify.annotations.NullMarked;
