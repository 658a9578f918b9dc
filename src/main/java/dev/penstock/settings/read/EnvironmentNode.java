package dev.penstock.settings.read;

import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The environment variables that configure a node of one backend. The backend's own tools use the same variables.
 *
 * @param alone the address if only the key is set; null if a node needs an explicit address
 */
record EnvironmentNode(
        Backend backend,
        String addressVariable,
        @Nullable String keyVariable,
        @Nullable String modelVariable,
        @Nullable String alone) {

    private static final Pattern HERE = Pattern.compile(
            "localhost\\.?|127(\\.\\d+){3}|0\\.0\\.0\\.0|\\[(::1?|0:0:0:0:0:0:0:[01]|::ffff:127\\.0\\.0\\.1)]");

    static final List<EnvironmentNode> ALL = List.of(
            new EnvironmentNode(Backend.VLLM, "VLLM_URL", "VLLM_API_KEY", "VLLM_MODEL", null),
            new EnvironmentNode(Backend.OLLAMA, "OLLAMA_HOST", null, null, null),
            new EnvironmentNode(Backend.LM_STUDIO, "LMSTUDIO_URL", "LMSTUDIO_API_KEY", null, null),
            new EnvironmentNode(Backend.LLAMA_SERVER, "LLAMA_SERVER_URL", "LLAMA_API_KEY", null, null),
            new EnvironmentNode(
                    Backend.OPENAI, "OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "https://api.openai.com"),
            new EnvironmentNode(
                    Backend.AZURE_OPENAI,
                    "AZURE_OPENAI_ENDPOINT",
                    "AZURE_OPENAI_API_KEY",
                    "AZURE_OPENAI_DEPLOYMENT",
                    null),
            new EnvironmentNode(
                    Backend.ANTHROPIC,
                    "ANTHROPIC_BASE_URL",
                    "ANTHROPIC_API_KEY",
                    "ANTHROPIC_MODEL",
                    "https://api.anthropic.com"));

    /**
     * Returns the address of the node.
     *
     * @return null if the environment has no such node
     */
    @Nullable
    String address(Map<String, String> environment) {
        String address = given(environment, addressVariable);
        return address == null && given(environment, keyVariable) != null ? alone : address;
    }

    /** Returns a normal form of a server's address. Two spellings of one address have the same form. */
    static String place(URI url) {
        String scheme = String.valueOf(url.getScheme()).toLowerCase(Locale.ROOT);
        String host = String.valueOf(url.getHost()).toLowerCase(Locale.ROOT);
        int port = url.getPort() >= 0 ? url.getPort() : scheme.equals("https") ? 443 : 80;
        String path = url.getPath() == null ? "" : url.getPath().replaceFirst("/+$", "");
        return "%s:%d%s"
                .formatted(
                        HERE.matcher(host).matches() ? "localhost" : host,
                        port,
                        path.replaceFirst("/v1$", "").replaceFirst("/+$", ""));
    }

    NodeSettings node(URI url, Map<String, String> environment) {
        NodeSettings node =
                NodeSettings.at(backend, url, given(environment, modelVariable), given(environment, keyVariable));
        String version = backend == Backend.AZURE_OPENAI ? given(environment, "AZURE_OPENAI_API_VERSION") : null;
        return version == null
                ? node
                : node.with(new NodeSettings.Requests(
                        Map.of(), Map.of(), OptionalInt.empty(), version, NodeSettings.OwnTimeouts.NONE));
    }

    private static @Nullable String given(Map<String, String> environment, @Nullable String variable) {
        String value = variable == null ? null : environment.get(variable);
        return value == null || value.isBlank() ? null : value.strip();
    }
}
