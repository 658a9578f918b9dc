/** Jobs: submitted, listed, watched and cancelled, one by one or by lines, and the dead letters. */
@NullMarked
package dev.penstock.api.jobs;

import org.jspecify.annotations.NullMarked;
