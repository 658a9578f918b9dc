/**
 * Executes a job: makes attempts at nodes, decides the next step after a failure, and collects the text of the answer.
 * It does not use Kafka.
 */
@NullMarked
package dev.penstock.execution;

import org.jspecify.annotations.NullMarked;
