/** The settings in force: the configuration as documented keys, checked and turned into domain values. */
@NullMarked
package dev.penstock.settings;

import org.jspecify.annotations.NullMarked;
