/** Where settings come from: the documented keys, files, variables, and the defaults that depend on them. */
@NullMarked
package dev.penstock.settings.source;

import org.jspecify.annotations.NullMarked;
