/** The settings in force, as domain values. */
@NullMarked
package dev.penstock.settings;

import org.jspecify.annotations.NullMarked;
