/** Fetches the media to which jobs refer by URL, within limits. */
@NullMarked
package dev.penstock.node.media;

import org.jspecify.annotations.NullMarked;
