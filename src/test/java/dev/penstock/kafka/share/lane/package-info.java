@NullMarked
package dev.penstock.kafka.share.lane;

import org.jspecify.annotations.NullMarked;
