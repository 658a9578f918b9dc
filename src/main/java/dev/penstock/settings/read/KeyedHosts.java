package dev.penstock.settings.read;

import dev.penstock.settings.NodeSettings;
import java.util.List;
import java.util.Locale;

/** The hosts that require an API key. If a node at such a host has no key, the configuration has a mistake. */
final class KeyedHosts {
    private static final List<String> DOMAINS = List.of(
            "api.openai.com",
            "openai.azure.com",
            "cognitiveservices.azure.com",
            "services.ai.azure.com",
            "api.anthropic.com",
            "api.mistral.ai",
            "api.groq.com",
            "api.deepseek.com",
            "api.together.xyz",
            "api.fireworks.ai",
            "api.x.ai",
            "openrouter.ai",
            "generativelanguage.googleapis.com",
            "router.huggingface.co");

    private static final List<String> KEY_HEADERS = List.of("authorization", "api-key", "x-api-key");

    private KeyedHosts() {}

    /** Returns whether a node lacks the key that its host requires. */
    static boolean needKey(NodeSettings node) {
        if (node.program() != null) {
            return false;
        }
        String host = node.url().getHost().toLowerCase(Locale.ROOT);
        boolean keyed = DOMAINS.stream().anyMatch(domain -> host.equals(domain) || host.endsWith("." + domain));
        boolean inHeader =
                node.headers().keySet().stream().anyMatch(name -> KEY_HEADERS.contains(name.toLowerCase(Locale.ROOT)));
        return keyed && node.apiKey() == null && !inHeader;
    }
}
