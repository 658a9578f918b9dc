/**
 * The REST resources that submit, list, watch and cancel jobs, one by one or many in one call, and that handle dead
 * letters.
 */
@NullMarked
package dev.penstock.api.jobs;

import org.jspecify.annotations.NullMarked;
