/** Runs direct calls: jobs whose caller waits for the answer, and that have no record. It does not use Kafka. */
@NullMarked
package dev.penstock.direct;

import org.jspecify.annotations.NullMarked;
