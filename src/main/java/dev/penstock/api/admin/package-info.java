/** The REST resources for operators: the nodes and their models. */
@NullMarked
package dev.penstock.api.admin;

import org.jspecify.annotations.NullMarked;
