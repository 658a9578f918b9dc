package dev.penstock.settings.read;

import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.source.FreeForm;
import dev.penstock.settings.source.NodeConfig;
import dev.penstock.settings.source.PenstockConfig;
import java.net.URI;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Creates the nodes from the keys of nodes and from the environment variables of known servers. */
final class NodesReader {
    static final String NODE_NAME = "(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}";
    static final String NODE_NAME_RULE =
            "a node's name has 1 to 64 characters of A-Z a-z 0-9 . _ -, and is neither . nor ..";

    static final String UNKNOWN_FOR = "nodes.unknown-for";

    private static final int LONGEST_POOL = 64;

    /**
     * The servers that can fetch a model on request. {@link ProgramReader} decides this for programs that Penstock
     * starts.
     */
    private static final Set<Backend> FETCHING = EnumSet.of(Backend.OLLAMA, Backend.LLAMA_SERVER, Backend.LLAMA_CLI);

    private static final Pattern OLLAMA = Pattern.compile(
            "(?:(?<scheme>https?)://)?(?<host>\\[[^\\]/]*\\]|[^/:\\[\\]]*)(?::(?<port>\\d+))?(?<path>(?:/.*)?)");

    private final Mistakes mistakes;
    private final FreeForm freeForm;

    NodesReader(Mistakes mistakes, FreeForm freeForm) {
        this.mistakes = mistakes;
        this.freeForm = freeForm;
    }

    List<NodeSettings> read(PenstockConfig config, Map<String, String> environment) {
        List<NodeSettings> nodes = new ArrayList<>();
        config.nodes().forEach((name, node) -> {
            String key = "nodes." + name;
            if (key.equals(UNKNOWN_FOR)) {
                return;
            }
            if (!name.matches(NODE_NAME)) {
                mistakes.mistake(key, NODE_NAME_RULE);
            }
            Optional<Backend> backend = mistakes.backend(key + ".backend", node.backend());
            Optional<NodeSettings.Program> program =
                    new ProgramReader(key, node, mistakes.lines()).read(backend.orElse(Backend.OPENAI_COMPATIBLE));
            Optional<URI> url = program.isPresent()
                    ? program.map(started -> started.modelPath().toUri())
                    : node.url().flatMap(given -> url(key + ".url", backend.orElse(Backend.OPENAI_COMPATIBLE), given));
            mistakes.atLeast(key + ".weight", node.weight(), 1);
            node.model().ifPresent(model -> mistakes.modelName(key + ".model", model));
            node.pool().ifPresent(pool -> poolName(key + ".pool", pool));
            node.maxInFlight().ifPresent(limit -> mistakes.atLeast(key + ".max-in-flight", limit, 1));
            node.requestsPerMinute().ifPresent(limit -> mistakes.atLeast(key + ".requests-per-minute", limit, 1));
            node.tokensPerMinute().ifPresent(limit -> mistakes.atLeast(key + ".tokens-per-minute", limit, 1));
            leastInFlight(key, node, backend);
            node.embeddingBatch().ifPresent(batch -> mistakes.atLeast(key + ".embedding-batch", batch, 1));
            node.timeouts().connect().ifPresent(time -> mistakes.positive(key + ".timeouts.connect", time));
            node.timeouts().firstToken().ifPresent(time -> mistakes.positive(key + ".timeouts.first-token", time));
            node.timeouts().idle().ifPresent(time -> mistakes.positive(key + ".timeouts.idle", time));
            node.headers()
                    .forEach((header, value) -> HeaderRules.mistake(header, value)
                            .ifPresent(wrong -> mistakes.mistake(key + ".headers." + shownHeader(header), wrong)));
            boolean fetchesMissing = fetchesMissing(key + ".pull", node.pull(), backend);
            if (backend.isPresent() && url.isPresent()) {
                nodes.add(new NodeSettings(
                        name,
                        backend.get(),
                        url.get(),
                        node.pool().orElse(backend.get().defaultPool()),
                        node.maxInFlight().map(OptionalInt::of).orElse(OptionalInt.empty()),
                        node.model().orElse(null),
                        node.apiKey()
                                .filter(secret -> !secret.isBlank())
                                .map(String::strip)
                                .orElse(null),
                        node.headers(),
                        new NodeSettings.Requests(
                                freeForm.at(key + ".parameters", node.parameters()),
                                freeForm.at(key + ".extra-body", node.extraBody()),
                                node.embeddingBatch().map(OptionalInt::of).orElse(OptionalInt.empty()),
                                node.apiVersion().orElse(null),
                                new NodeSettings.OwnTimeouts(
                                        node.timeouts().connect(),
                                        node.timeouts().firstToken(),
                                        node.timeouts().idle(),
                                        Optional.empty())),
                        fetchesMissing,
                        program.orElse(null),
                        node.weight(),
                        limits(node)));
            }
        });
        fromEnvironment(environment, nodes);
        for (NodeSettings node : nodes) {
            if (KeyedHosts.needKey(node)) {
                mistakes.mistake(
                        "nodes." + node.name() + ".api-key",
                        "%s wants a key".formatted(node.url().getHost()));
            }
        }
        return nodes;
    }

    private void leastInFlight(String key, NodeConfig node, Optional<Backend> backend) {
        node.minInFlight().ifPresent(least -> {
            mistakes.atLeast(key + ".min-in-flight", least, 1);
            if (!node.adaptive()) {
                mistakes.mistake(key + ".min-in-flight", "has no effect without adaptive: true");
            }
            // a llama-server tells how many slots it has
            node.maxInFlight()
                    .or(() -> backend.filter(known -> known != Backend.LLAMA_SERVER)
                            .map(Backend::defaultMaxInFlight))
                    .filter(most -> most < least)
                    .ifPresent(
                            most -> mistakes.mistake(key + ".min-in-flight", "must be at most max-in-flight, " + most));
        });
    }

    private static NodeSettings.Limits limits(NodeConfig node) {
        return new NodeSettings.Limits(
                node.requestsPerMinute().map(OptionalInt::of).orElse(OptionalInt.empty()),
                node.tokensPerMinute().map(OptionalInt::of).orElse(OptionalInt.empty()),
                node.minInFlight().orElse(1),
                node.adaptive());
    }

    /** @param backend empty if its value is wrong; that mistake is already reported */
    private boolean fetchesMissing(String key, String pull, Optional<Backend> backend) {
        if (!pull.equals("missing") && !pull.equals("never")) {
            mistakes.mistake(key, "'%s' is none of missing, never".formatted(pull));
        } else if (pull.equals("missing") && backend.isPresent() && !FETCHING.contains(backend.get())) {
            mistakes.mistake(
                    key,
                    "%s fetches no models on command, and a job would wait for ever: leave it out, or set never"
                            .formatted(backend.get().wireName()));
        }
        return pull.equals("missing");
    }

    private void fromEnvironment(Map<String, String> environment, List<NodeSettings> nodes) {
        Set<String> taken = new HashSet<>();
        nodes.forEach(node -> taken.add(node.name()));
        for (EnvironmentNode known : EnvironmentNode.ALL) {
            String address = known.address(environment);
            if (address == null || taken.contains(known.backend().wireName())) {
                continue;
            }
            Optional<URI> url =
                    parseUrl(known.backend(), known.backend() == Backend.OLLAMA ? ollamaAddress(address) : address);
            if (url.isEmpty()) {
                mistakes.line(known.addressVariable() + ": '" + shown(address) + "' is no http:// or https:// address");
            } else if (nodes.stream()
                    .noneMatch(node -> EnvironmentNode.place(node.url()).equals(EnvironmentNode.place(url.get())))) {
                nodes.add(known.node(url.get(), environment));
            }
        }
    }

    /**
     * Parses the forms that Ollama accepts: host, host:port, :port, [::1]:port, 0.0.0.0, with or without a scheme and a
     * path. The default port is 11434.
     */
    static String ollamaAddress(String value) {
        Matcher form = OLLAMA.matcher(value.strip());
        if (!form.matches()) {
            return value;
        }
        String scheme = form.group("scheme");
        String host = form.group("host");
        String port = form.group("port");
        String defaultPort = scheme == null ? "11434" : scheme.equals("https") ? "443" : "80";
        return "%s://%s:%s%s"
                .formatted(
                        scheme == null ? "http" : scheme,
                        host.isEmpty() || host.equals("0.0.0.0") ? "127.0.0.1" : host.equals("[::]") ? "[::1]" : host,
                        port == null ? defaultPort : port,
                        form.group("path"));
    }

    private Optional<URI> url(String key, Backend backend, String value) {
        Optional<URI> url = parseUrl(backend, value);
        if (url.isEmpty()) {
            mistakes.mistake(
                    key,
                    "'%s' is no http:// or https:// address without user, password and query".formatted(shown(value)));
        }
        return url;
    }

    /** Returns the name in a form for messages: one line, with a limited length. */
    private static String shownHeader(String name) {
        String line = name.replaceAll("[^\\x20-\\x7E]", "?");
        return line.length() > 64 ? line.substring(0, 64) + "…" : line;
    }

    /** Returns the address without the parts that may contain a password. */
    private static String shown(String address) {
        return address.replaceFirst("//[^/]*@", "//…@").replaceFirst("\\?.*$", "?…");
    }

    private static Optional<URI> parseUrl(Backend backend, String value) {
        try {
            String address = value.strip().replaceFirst("/+$", "").replaceFirst("/v1$", "");
            URI url = URI.create(backend == Backend.AZURE_OPENAI ? address.replaceFirst("/openai$", "") : address);
            boolean http = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
            boolean bare = url.getRawUserInfo() == null && url.getRawQuery() == null && url.getRawFragment() == null;
            return http && bare && url.getHost() != null ? Optional.of(url) : Optional.empty();
        } catch (IllegalArgumentException _) {
            return Optional.empty();
        }
    }

    /** Checks the name of a pool, because the name is a label in metrics. */
    private void poolName(String key, String name) {
        if (name.isBlank() || name.length() > LONGEST_POOL || name.chars().anyMatch(Character::isISOControl)) {
            mistakes.mistake(key, "a pool's name has 1 to %d characters on one line".formatted(LONGEST_POOL));
        }
    }
}
