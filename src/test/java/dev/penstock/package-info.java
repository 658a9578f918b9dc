/** Tests that look at the whole: the arrows between packages, and the packaged service from outside. */
@NullMarked
package dev.penstock;

import org.jspecify.annotations.NullMarked;
