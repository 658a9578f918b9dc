@NullMarked
package dev.penstock.execution;

import org.jspecify.annotations.NullMarked;
