/** The programs of llama.cpp that Penstock starts: a server that it keeps running, or one process for each request. */
@NullMarked
package dev.penstock.node.program;

import org.jspecify.annotations.NullMarked;
