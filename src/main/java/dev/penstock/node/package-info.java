/** The model servers: one class per wire protocol, slots, health, discovery. */
@NullMarked
package dev.penstock.node;

import org.jspecify.annotations.NullMarked;
