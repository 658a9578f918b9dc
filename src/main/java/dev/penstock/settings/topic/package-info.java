/** The settings that change at run time, and the topic that stores them. */
@NullMarked
package dev.penstock.settings.topic;

import org.jspecify.annotations.NullMarked;
