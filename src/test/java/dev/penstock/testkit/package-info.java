/**
 * Real parts for the tests: a broker, model servers, the packaged service as a process, and a plain reader of the
 * topics.
 */
@NullMarked
package dev.penstock.testkit;

import org.jspecify.annotations.NullMarked;
