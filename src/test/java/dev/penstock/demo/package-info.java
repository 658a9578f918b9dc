/** {@code make demo}: a real broker, a real model server and Penstock, as a person would start them; then two jobs. */
@NullMarked
package dev.penstock.demo;

import org.jspecify.annotations.NullMarked;
