/** {@code make demo}: starts a real broker, a real model server and Penstock, as a user would, and sends two jobs. */
@NullMarked
package dev.penstock.demo;

import org.jspecify.annotations.NullMarked;
