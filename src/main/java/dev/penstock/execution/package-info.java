/** Executes a job: attempts at nodes, what a failure means for the next one, the answer's text. It knows no Kafka. */
@NullMarked
package dev.penstock.execution;

import org.jspecify.annotations.NullMarked;
