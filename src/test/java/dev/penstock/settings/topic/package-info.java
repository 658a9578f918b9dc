/** Tests of {@code dev.penstock.settings.topic}. */
@NullMarked
package dev.penstock.settings.topic;

import org.jspecify.annotations.NullMarked;
