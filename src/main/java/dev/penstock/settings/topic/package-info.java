/** The settings that change at run time, on the topic of settings. */
@NullMarked
package dev.penstock.settings.topic;

import org.jspecify.annotations.NullMarked;
