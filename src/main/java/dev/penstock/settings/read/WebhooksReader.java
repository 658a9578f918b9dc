package dev.penstock.settings.read;

import dev.penstock.settings.Webhook;
import dev.penstock.settings.source.WebhookConfig;
import dev.penstock.wire.WebhookSecret;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Reads the webhooks. No message contains a part of a secret. */
final class WebhooksReader {
    private final Mistakes mistakes;

    WebhooksReader(Mistakes mistakes) {
        this.mistakes = mistakes;
    }

    Map<String, Webhook> read(Map<String, WebhookConfig> webhooks) {
        Map<String, Webhook> all = new TreeMap<>();
        webhooks.forEach((name, webhook) -> {
            String key = "webhooks." + name;
            if (!name.matches("[A-Za-z0-9._-]{1,64}")) {
                mistakes.mistake("webhooks", "a webhook's name has 1 to 64 characters of A-Z a-z 0-9 . _ -");
            }
            mistakes.positive(key + ".timeout", webhook.timeout());
            Optional<URI> url = url(webhook.url());
            if (url.isEmpty()) {
                // the message leaves the value out, because an address may contain a token
                mistakes.mistake(key + ".url", "expected http://host or https://host, without a user and without #");
            }
            List<WebhookSecret> secrets = secrets(key + ".secret", webhook.secret());
            if (url.isPresent() && !secrets.isEmpty()) {
                all.put(name, new Webhook(name, url.get(), secrets, webhook.timeout()));
            }
        });
        return all;
    }

    private static Optional<URI> url(String value) {
        try {
            URI url = URI.create(value.strip());
            String scheme = String.valueOf(url.getScheme()).toLowerCase(Locale.ROOT);
            boolean usable = (scheme.equals("http") || scheme.equals("https"))
                    && url.getHost() != null
                    && url.getRawUserInfo() == null
                    && url.getRawFragment() == null
                    && url.getPort() <= 65_535;
            return usable ? Optional.of(url) : Optional.empty();
        } catch (IllegalArgumentException _) {
            return Optional.empty();
        }
    }

    private List<WebhookSecret> secrets(String key, String value) {
        List<WebhookSecret> secrets = new ArrayList<>();
        List<String> texts = Arrays.stream(value.strip().split("\\s+")).toList();
        for (String text : texts) {
            WebhookSecret.parse(text).ifPresent(secrets::add);
        }
        if (secrets.size() < texts.size()) {
            mistakes.mistake(key, WebhookSecret.RULE + "; several secrets are separated by spaces");
            return List.of();
        }
        return secrets;
    }
}
