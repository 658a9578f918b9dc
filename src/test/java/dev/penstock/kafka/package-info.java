@NullMarked
package dev.penstock.kafka;

import org.jspecify.annotations.NullMarked;
