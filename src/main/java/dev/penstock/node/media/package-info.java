/** Fetches the media that jobs name by URL, within limits. */
@NullMarked
package dev.penstock.node.media;

import org.jspecify.annotations.NullMarked;
