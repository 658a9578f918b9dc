/**
 * Publishes the API's description, checks query parameters against it, limits the labels of metrics, and reports
 * health.
 */
@NullMarked
package dev.penstock.api;

import org.jspecify.annotations.NullMarked;
