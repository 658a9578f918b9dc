@NullMarked
package dev.penstock.kafka.share;

import org.jspecify.annotations.NullMarked;
