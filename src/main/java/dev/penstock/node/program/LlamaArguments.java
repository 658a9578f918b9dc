package dev.penstock.node.program;

import dev.penstock.settings.NodeSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Builds the arguments for llama.cpp's programs from the configuration (observed with 0.7.0). */
final class LlamaArguments {
    private LlamaArguments() {}

    /**
     * The options that decide the amount of memory, each with the names of the parameter that sets it. A configured
     * parameter applies only if the node has no key of its own for the option.
     */
    static final Map<String, List<String>> SIZES = Map.of(
            "-c", List.of("ctx_size", "num_ctx"),
            "-b", List.of("batch_size", "num_batch"),
            "-ub", List.of("ubatch_size"),
            "-ngl", List.of("gpu_layers", "num_gpu"),
            "-t", List.of("threads", "num_thread"));

    /** @param parameters the configured parameters; the node's parameters override the service's */
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
        // at the end, because the last value of an option applies: the server must listen only at Penstock's address
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
