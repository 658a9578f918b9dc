/** Tests what follows an answer that does not fit. */
@NullMarked
package dev.penstock.execution.result;

import org.jspecify.annotations.NullMarked;
