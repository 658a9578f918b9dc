package dev.penstock.node;

import dev.penstock.node.http.BaseAddress;
import dev.penstock.node.http.ContentDecoder;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.http.NodeErrors;
import dev.penstock.node.http.Probe;
import dev.penstock.node.program.Executables;
import dev.penstock.node.program.ModelFiles;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.channels.UnresolvedAddressException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Probes a node's server once, outside of the service. It starts no program of its own. */
public final class NodeCheck {
    private static final Duration CONNECT_WITHIN = Duration.ofSeconds(3);

    private static final int MOST_BYTES = 4 << 20;

    private NodeCheck() {}

    /**
     * The result of the check.
     *
     * @param words why the node is not up, or what is wrong with its settings; null if nothing is wrong
     */
    public record Found(
            Node.State state, List<String> models, @Nullable String words) {
        public Found {
            models = List.copyOf(models);
        }
    }

    public static Found of(NodeSettings node) throws InterruptedException {
        NodeSettings.Program program = node.program();
        if (program != null) {
            return program(node, program);
        }
        try (HttpClient http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(CONNECT_WITHIN)
                .build()) {
            return switch (Probe.of(new OneServer(node, http))) {
                case ProbeResult.Up up -> new Found(Node.State.UP, ids(up.models()), up.mismatch());
                case ProbeResult.Loading(String words) -> new Found(Node.State.LOADING, List.of(), words);
                case ProbeResult.Away(String words, boolean _, boolean _) -> down(words);
            };
        }
    }

    private static Found down(String words) {
        return new Found(Node.State.DOWN, List.of(), words);
    }

    private static List<String> ids(List<WireProtocol.Model> models) {
        return models.stream().map(WireProtocol.Model::id).toList();
    }

    private static Found program(NodeSettings node, NodeSettings.Program program) {
        String keys = "penstock.nodes.%s.".formatted(node.name());
        if (Executables.find(program.command()).isEmpty()) {
            return down("there is no program '%s': install llama.cpp, or set its path (%scommand)"
                    .formatted(program.command(), keys));
        }
        if (node.backend() == Backend.LLAMA_CLI) {
            try {
                return new Found(
                        Node.State.UP, List.copyOf(ModelFiles.of(node, program).keySet()), null);
            } catch (ModelFiles.Unreadable e) {
                return down(e.reason());
            }
        }
        return Files.isReadable(program.modelPath())
                ? new Found(Node.State.UP, List.of(program.modelPath().toString()), null)
                : down("%s cannot be read (%smodel-path)".formatted(program.modelPath(), keys));
    }

    /** One server, with a client of its own. */
    private record OneServer(NodeSettings settings, WireProtocol protocol, NodeErrors errors, HttpClient http)
            implements Probe.Server {
        OneServer(NodeSettings settings, HttpClient http) {
            this(settings, WireProtocol.of(settings), new NodeErrors(settings, WireProtocol.of(settings)), http);
        }

        @Override
        public NodeClient.Reply get(String path, Duration timeout) throws NodeClient.Unreachable, InterruptedException {
            URI url = settings.url();
            try {
                HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("%s://%s%s"
                                .formatted(url.getScheme(), url.getRawAuthority(), BaseAddress.path(url, path))))
                        .timeout(timeout);
                protocol.headers(settings.apiKey()).forEach(request::setHeader);
                settings.headers().forEach(request::setHeader);
                HttpResponse<InputStream> response =
                        http.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
                byte[] body;
                try (InputStream stream = response.body()) {
                    body = stream.readNBytes(MOST_BYTES);
                }
                return new NodeClient.Reply(
                        response.statusCode(),
                        ContentDecoder.text(
                                response.headers()
                                        .firstValue("Content-Encoding")
                                        .orElse(null),
                                body),
                        response.headers().firstValue("Server").orElse(""));
            } catch (HttpTimeoutException e) {
                if (e instanceof HttpConnectTimeoutException) {
                    throw unreachable(new IOException("connection timed out"));
                }
                throw new NodeClient.Unreachable(errors.timedOut(path, timeout.toString()), true);
            } catch (ConnectException e) {
                throw unreachable(
                        unresolved(e)
                                ? new UnknownHostException(url.getHost())
                                : new IOException("Connection refused"));
            } catch (IOException e) {
                throw unreachable(e);
            } catch (IllegalArgumentException _) {
                throw unreachable(new IOException("one of its headers cannot be sent from here"));
            }
        }

        private NodeClient.Unreachable unreachable(IOException why) {
            return new NodeClient.Unreachable(errors.unreachable(why).message(), false);
        }

        private static boolean unresolved(ConnectException e) {
            return Optional.ofNullable(e.getCause())
                    .map(cause -> cause instanceof UnresolvedAddressException
                            || cause.getCause() instanceof UnresolvedAddressException)
                    .orElse(false);
        }
    }
}
