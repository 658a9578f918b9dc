/** The nodes and their models, for operators. */
@NullMarked
package dev.penstock.api.admin;

import org.jspecify.annotations.NullMarked;
