/** Decides whether an answer is what its job asks for, and what the model is asked after an answer that is not. */
@NullMarked
package dev.penstock.execution.result;

import org.jspecify.annotations.NullMarked;
