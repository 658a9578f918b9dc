package dev.penstock.node;

import dev.penstock.settings.NodeSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** What the programs of llama.cpp (measured: 0.7.0) are started with by the configuration. */
final class LlamaArguments {
    private LlamaArguments() {}

    /** @param slots how many requests at once; empty: its own choice */
    static List<String> ofServer(NodeSettings.Program program, int port, @Nullable String model, OptionalInt slots) {
        List<String> arguments = new ArrayList<>(List.of("--host", "127.0.0.1", "--port", String.valueOf(port)));
        arguments.addAll(List.of("-m", program.modelPath().toString()));
        arguments.addAll(List.of("--alias", model == null ? ModelFiles.nameOf(program.modelPath()) : model));
        slots.ifPresent(number -> arguments.addAll(List.of("--parallel", String.valueOf(number))));
        program.mmproj().ifPresent(file -> arguments.addAll(List.of("--mmproj", file.toString())));
        arguments.addAll(sizes(program));
        arguments.addAll(program.arguments());
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
