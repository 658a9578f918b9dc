/** Outcomes are posted to webhooks: read from their topic, confirmed, signed, posted, and retried or dead-lettered. */
@NullMarked
package dev.penstock.webhook;

import org.jspecify.annotations.NullMarked;
