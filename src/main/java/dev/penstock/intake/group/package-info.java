/** Takes records by a classic consumer group: deferred jobs, and those of job topics without share groups. */
@NullMarked
package dev.penstock.intake.group;

import org.jspecify.annotations.NullMarked;
