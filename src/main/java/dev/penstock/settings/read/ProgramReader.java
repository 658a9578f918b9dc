package dev.penstock.settings.read;

import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.source.NodeConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** Decides whether and how Penstock starts a node's program. */
final class ProgramReader {
    private static final String GPU_LAYERS = "\\d{1,4}|auto|all";

    private final String key;
    private final NodeConfig node;
    private final List<String> mistakes;

    /**
     * @param key the key of the node
     * @param mistakes receives every mistake
     */
    ProgramReader(String key, NodeConfig node, List<String> mistakes) {
        this.key = key;
        this.node = node;
        this.mistakes = mistakes;
    }

    /**
     * Returns the program; empty if the node has an address, because then Penstock does not start it. Also returns
     * empty, and reports a mistake, if a required key is missing.
     */
    Optional<NodeSettings.Program> read(Backend backend) {
        boolean each = backend == Backend.LLAMA_CLI;
        List<String> given = given();
        if (!each && given.isEmpty()) {
            if (node.url().isEmpty()) {
                mistake("url", "is missing");
            }
            return Optional.empty();
        }
        if (!each && backend != Backend.LLAMA_SERVER) {
            given.forEach(
                    name -> mistake(name, "is of llama-server and llama-cli only: Penstock starts no other program"));
            return Optional.empty();
        }
        if (node.url().isPresent()) {
            mistake(
                    "url",
                    each
                            ? "llama-cli is started for each request, and has no address"
                            : "Penstock chooses the address of a server that it starts: leave out url, or %s"
                                    .formatted(String.join(", ", given)));
        }
        if (node.pull().equals("missing")) {
            mistake("pull", "what Penstock starts has the files of model-path, and fetches none");
        }
        atLeastOne("ctx-size", node.ctxSize());
        atLeastOne("batch-size", node.batchSize());
        atLeastOne("ubatch-size", node.ubatchSize());
        node.gpuLayers()
                .filter(layers -> !layers.matches(GPU_LAYERS))
                .ifPresent(layers -> mistake("gpu-layers", "'%s' is no number, auto or all".formatted(layers)));
        if (node.modelPath().isEmpty()) {
            mistake("model-path", "is missing: the model's file" + (each ? ", or a folder of such" : ""));
            return Optional.empty();
        }
        return Optional.of(new NodeSettings.Program(
                node.command().orElse(backend.wireName()),
                node.modelPath().get().toAbsolutePath().normalize(),
                number(node.ctxSize()),
                number(node.batchSize()),
                number(node.ubatchSize()),
                node.gpuLayers(),
                node.mmproj().map(Path::toAbsolutePath),
                node.arguments().orElse(List.of())));
    }

    private List<String> given() {
        List<String> given = new ArrayList<>();
        note("command", node.command(), given);
        note("model-path", node.modelPath(), given);
        note("ctx-size", node.ctxSize(), given);
        note("batch-size", node.batchSize(), given);
        note("ubatch-size", node.ubatchSize(), given);
        note("gpu-layers", node.gpuLayers(), given);
        note("mmproj", node.mmproj(), given);
        note("arguments", node.arguments(), given);
        return given;
    }

    private static void note(String name, Optional<?> value, List<String> given) {
        if (value.isPresent()) {
            given.add(name);
        }
    }

    private void atLeastOne(String name, Optional<Integer> value) {
        if (value.isPresent() && value.get() < 1) {
            mistake(name, "must be at least 1");
        }
    }

    private static OptionalInt number(Optional<Integer> value) {
        return value.isPresent() ? OptionalInt.of(value.get()) : OptionalInt.empty();
    }

    private void mistake(String name, String message) {
        mistakes.add("penstock.%s.%s: %s".formatted(key, name, message));
    }
}
