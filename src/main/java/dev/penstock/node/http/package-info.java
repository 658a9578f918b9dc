/** The HTTP client of a node: connections, probes, answers as they arrive, and their errors. */
@NullMarked
package dev.penstock.node.http;

import org.jspecify.annotations.NullMarked;
