/** The connection to the service over REST. */
@NullMarked
package dev.penstock.cli.rest;

import org.jspecify.annotations.NullMarked;
