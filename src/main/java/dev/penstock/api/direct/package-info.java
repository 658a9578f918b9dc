/** Answers direct calls: calls that are answered without a trip through Kafka. */
@NullMarked
package dev.penstock.api.direct;

import org.jspecify.annotations.NullMarked;
