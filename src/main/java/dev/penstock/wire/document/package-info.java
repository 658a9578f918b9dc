/** The documents of the outside: jobs, events, commands and errors as JSON. */
@NullMarked
package dev.penstock.wire.document;

import org.jspecify.annotations.NullMarked;
