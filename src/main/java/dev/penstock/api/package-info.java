/** What describes the REST API and the process: the published document, its query parameters, labels and health. */
@NullMarked
package dev.penstock.api;

import org.jspecify.annotations.NullMarked;
