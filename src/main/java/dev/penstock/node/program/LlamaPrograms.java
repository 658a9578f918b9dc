package dev.penstock.node.program;

import dev.penstock.job.JobFailure;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;

/**
 * Runs programs of llama.cpp on this machine, one process for each request: llama-cli and llama-completion for text,
 * llama-embedding for embeddings, and llama-mtmd-cli for images. Between two requests, no model is in memory.
 */
public final class LlamaPrograms implements Upstream {
    private final NodeSettings settings;
    private final NodeSettings.Program program;

    public LlamaPrograms(NodeSettings settings, NodeSettings.Program program) {
        this.settings = settings;
        this.program = program;
        Thread.ofVirtual().name("penstock-sweep").start(PrivateFiles::sweep);
    }

    @Override
    public NodeSettings settings() {
        return settings;
    }

    @Override
    public String address() {
        return program.modelPath().toUri().toString();
    }

    @Override
    public TokenStream stream(Prompt prompt) throws WireProtocol.Unsupported {
        SortedMap<String, Path> models;
        try {
            models = ModelFiles.of(settings, program);
        } catch (ModelFiles.Unreadable e) {
            throw new WireProtocol.Unsupported(missing(e.reason()));
        }
        Path model = models.get(prompt.model());
        if (model == null) {
            throw new WireProtocol.Unsupported(JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "model '%s' is not on node '%s': put %s.gguf into %s (penstock.nodes.%s.model-path); there is %s"
                            .formatted(
                                    prompt.model(),
                                    settings.name(),
                                    prompt.model(),
                                    program.modelPath(),
                                    settings.name(),
                                    String.join(", ", models.keySet()))));
        }
        try {
            ModelFiles.readable(model, settings);
        } catch (ModelFiles.Unreadable e) {
            throw new WireProtocol.Unsupported(missing(e.reason()));
        }
        ProgramCall call = LlamaProgramRequest.of(prompt, program, model);
        if (call.program().equals(LlamaProgramRequest.IMAGES)
                && program.mmproj().isEmpty()) {
            throw new WireProtocol.Unsupported(JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "model '%s' on node '%s' takes no images: name another model, or its projector (penstock.nodes.%s.mmproj)"
                            .formatted(prompt.model(), settings.name(), settings.name())));
        }
        Optional<Path> file = file(call.program());
        return file.isEmpty()
                ? ProgramStream.failed(call, JobFailure.of(JobFailure.Code.NODE_UNREACHABLE, noProgram(call.program())))
                : ProgramStream.start(title(), file.get(), call);
    }

    private JobFailure missing(String what) {
        return JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, title() + ": " + what);
    }

    private Optional<Path> file(String name) {
        Optional<Path> configured = Executables.find(program.command());
        return name.equals(LlamaProgramRequest.CHAT)
                ? configured
                : configured.flatMap(file -> Executables.beside(file, name));
    }

    private String noProgram(String name) {
        return name.equals(LlamaProgramRequest.CHAT)
                ? "%s: there is no program '%s': install llama.cpp, or set its path (penstock.nodes.%s.command)"
                        .formatted(title(), program.command(), settings.name())
                : "%s: there is no %s beside %s or on the PATH: install all of llama.cpp's programs"
                        .formatted(title(), name, program.command());
    }

    @Override
    public ProbeResult probe() {
        if (file(LlamaProgramRequest.CHAT).isEmpty()) {
            return ProbeResult.Away.of(noProgram(LlamaProgramRequest.CHAT));
        }
        try {
            Long context =
                    program.ctxSize().isPresent() ? (long) program.ctxSize().getAsInt() : null;
            List<WireProtocol.Model> models = new ArrayList<>();
            for (Map.Entry<String, Path> model :
                    ModelFiles.of(settings, program).entrySet()) {
                models.add(new WireProtocol.Model(model.getKey(), false, context));
            }
            return new ProbeResult.Up(models, 0);
        } catch (ModelFiles.Unreadable e) {
            return ProbeResult.Away.of(title() + ": " + e.reason());
        }
    }

    @Override
    public void close() {
        // nothing to close, because each stream ends its own process
    }
}
