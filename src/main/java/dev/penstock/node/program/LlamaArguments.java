package dev.penstock.node.program;

import dev.penstock.settings.NodeSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The arguments that the configuration gives the programs of llama.cpp (measured: 0.7.0). */
final class LlamaArguments {
    private LlamaArguments() {}

    /**
     * The options that decide the amount of memory. They come from the configuration; its parameters apply if the
     * node has no key of its own.
     */
    static final Map<String, List<String>> SIZES = Map.of(
            "-c", List.of("ctx_size", "num_ctx"),
            "-b", List.of("batch_size", "num_batch"),
            "-ub", List.of("ubatch_size"),
            "-ngl", List.of("gpu_layers", "num_gpu"),
            "-t", List.of("threads", "num_thread"));

    /** @param parameters from the configuration; those of the node override those of the service */
    static List<String> ofServer(
            NodeSettings node, NodeSettings.Program program, int port, Map<String, Object> parameters) {
        String model = node.model();
        List<String> arguments =
                new ArrayList<>(List.of("-m", program.modelPath().toString()));
        arguments.addAll(List.of("--alias", model == null ? ModelFiles.nameOf(program.modelPath()) : model));
        node.maxInFlight().ifPresent(slots -> arguments.addAll(List.of("--parallel", String.valueOf(slots))));
        program.mmproj().ifPresent(file -> arguments.addAll(List.of("--mmproj", file.toString())));
        SIZES.forEach((option, names) -> names.stream()
                .filter(parameters::containsKey)
                .findFirst()
                .ifPresent(name -> arguments.addAll(List.of(option, String.valueOf(parameters.get(name))))));
        arguments.addAll(sizes(program));
        arguments.addAll(program.arguments());
        // the last option of its kind counts, so the server listens only where Penstock calls it
        arguments.addAll(List.of("--host", "127.0.0.1", "--port", String.valueOf(port)));
        return arguments;
    }

    static List<String> sizes(NodeSettings.Program program) {
        List<String> arguments = new ArrayList<>();
        program.ctxSize().ifPresent(size -> arguments.addAll(List.of("-c", String.valueOf(size))));
        program.batchSize().ifPresent(size -> arguments.addAll(List.of("-b", String.valueOf(size))));
        program.ubatchSize().ifPresent(size -> arguments.addAll(List.of("-ub", String.valueOf(size))));
        program.gpuLayers().ifPresent(layers -> arguments.addAll(List.of("-ngl", layers)));
        return arguments;
    }
}
