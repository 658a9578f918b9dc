package dev.penstock.settings;

import dev.penstock.wire.WebhookSecret;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A receiver of the outcomes of jobs.
 *
 * @param url the address of the receiver: http or https
 * @param secrets the secrets that sign each request: the current one, and older ones while they are being replaced
 * @param timeout the longest time from the connection to the status of the answer
 */
public record Webhook(String name, URI url, List<WebhookSecret> secrets, Duration timeout) {
    public Webhook {
        secrets = List.copyOf(secrets);
        if (secrets.isEmpty()) {
            throw new IllegalArgumentException("a webhook has a secret");
        }
    }

    /** Returns the value of the header webhook-signature: the signature of each secret, separated by spaces. */
    public String signature(String id, long seconds, byte[] body) {
        return secrets.stream().map(secret -> secret.sign(id, seconds, body)).collect(Collectors.joining(" "));
    }
}
