/** The endpoints for images: a description, or tags. They take JSON or a form with files. */
@NullMarked
package dev.penstock.api.vision;

import org.jspecify.annotations.NullMarked;
