package dev.penstock.node;

import dev.penstock.node.http.NodeClient;
import dev.penstock.node.program.LlamaPrograms;
import dev.penstock.node.program.LlamaServerProcess;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/**
 * Creates the upstream of each node.
 *
 * @param settings the settings of all nodes
 */
record Upstreams(Settings settings, Vertx vertx) {

    /**
     * @param afterwards a process starts only after this future is done, because an earlier process may still hold the
     *     memory
     */
    Upstream of(NodeSettings wanted, CompletableFuture<?> afterwards) {
        Duration connectTimeout =
                wanted.requests().timeouts().over(settings.timeouts()).connect();
        NodeSettings.Program program = wanted.program();
        if (program == null) {
            return new NodeClient(wanted, vertx, connectTimeout, settings.answers());
        }
        return switch (wanted.backend()) {
            case LLAMA_CLI -> new LlamaPrograms(wanted, program);
            default ->
                new LlamaServerProcess(
                        wanted,
                        program,
                        Prompt.defaults(settings.parameters(), wanted.requests().parameters()),
                        vertx,
                        connectTimeout,
                        afterwards,
                        LlamaServerProcess.Port.free());
        };
    }
}
