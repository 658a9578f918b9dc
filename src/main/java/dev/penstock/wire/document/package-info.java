/** The JSON documents that come from outside or go out: jobs, events, commands and errors. */
@NullMarked
package dev.penstock.wire.document;

import org.jspecify.annotations.NullMarked;
