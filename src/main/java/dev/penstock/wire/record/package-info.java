/** The records on the topics: headers, sizes, damaged batches, names of groups, versions of the settings. */
@NullMarked
package dev.penstock.wire.record;

import org.jspecify.annotations.NullMarked;
