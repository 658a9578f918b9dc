/** The sources of settings: the documented keys, files, variables, and the defaults that depend on other settings. */
@NullMarked
package dev.penstock.settings.source;

import org.jspecify.annotations.NullMarked;
