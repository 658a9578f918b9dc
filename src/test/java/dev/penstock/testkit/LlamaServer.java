package dev.penstock.testkit;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A real llama-server with a tiny model of random weights. The scripts in {@code src/demo} prepare it. Their
 * downloads and files stay in {@code .demo}, for the next one.
 */
public final class LlamaServer implements AutoCloseable {
    /** The name of every model. */
    public static final String MODEL = "tiny";

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration DOWNLOAD_PATIENCE = Duration.ofMinutes(10);

    private final ChildProcess process;
    private final URI url;

    private final List<String> command;

    private LlamaServer(ChildProcess process, URI url, List<String> command) {
        this.process = process;
        this.url = url;
        this.command = List.copyOf(command);
    }

    /** Kills the server, and starts another one at the same address. */
    public LlamaServer killAndRestart() throws InterruptedException {
        kill9();
        ChildProcess next = ChildProcess.start("llama-server", command, Map.of());
        next.awaitOk(url.resolve("/health"), PATIENCE);
        return new LlamaServer(next, url, command);
    }

    /** The result of a start. */
    public sealed interface Start {
        /** It runs, and has loaded its model. */
        record Started(LlamaServer server) implements Start {}

        /** It is not available here. */
        record Unavailable(String why) implements Start {}
    }

    /** The properties of the model. */
    public enum Model {
        TINY(""),
        /** Never ends its answer by itself. */
        ENDLESS("--eos-mean 0"),
        /** About 100 tokens a second, never ends by itself; 108 MB. */
        SLOW("--embd 512 --layers 24 --ff 2048 --heads 8 --type q8_0 --eos-mean 0"),
        TOOLS("--template tools"),
        THINK("--template think");

        private final String shape;

        Model(String shape) {
            this.shape = shape;
        }

        private List<String> arguments() {
            return shape.isEmpty() ? List.of() : List.of(shape.split(" ", -1));
        }
    }

    /** The output of a failed step. */
    private static final class CannotBeHad extends Exception {
        private static final long serialVersionUID = 1L;

        CannotBeHad(String why) {
            super(why);
        }
    }

    public static Start start() throws InterruptedException {
        return start(Model.TINY);
    }

    /**
     * Starts a server on a free port, with 4 slots.
     *
     * @param more further options, which override the kit's own
     * @throws IllegalStateException if it is not available although {@link TestEnvironment#requiresAll()}
     */
    public static Start start(Model model, String... more) throws InterruptedException {
        try {
            Parts parts = parts(model);
            List<String> options =
                    new ArrayList<>(List.of("-m", parts.gguf().toString(), "--metrics", "--slots", "--parallel", "4"));
            options.addAll(List.of(more));
            // each alias is one more name
            if (!options.contains("--alias")) {
                options.addAll(List.of("--alias", MODEL));
            }
            return new Start.Started(launch(parts.program(), options));
        } catch (CannotBeHad | IOException e) {
            return unavailable(e);
        }
    }

    private static Start unavailable(Exception e) {
        String why = "no llama-server here: " + e.getMessage();
        if (TestEnvironment.requiresAll()) {
            throw new IllegalStateException(why, e);
        }
        return new Start.Unavailable(why);
    }

    /** Starts a router with a tiny model under each of these names, none of them loaded. */
    public static Start startRouter(Path folder, String... names) throws InterruptedException {
        try {
            Parts parts = parts(Model.TINY);
            for (String name : names) {
                Files.copy(parts.gguf(), folder.resolve(name + ".gguf"));
            }
            return new Start.Started(
                    launch(parts.program(), List.of("--models-dir", folder.toString(), "--parallel", "2")));
        } catch (CannotBeHad | IOException e) {
            return unavailable(e);
        }
    }

    /**
     * llama-cli and the other programs, and a model.
     *
     * @param folder the folder of the programs
     */
    public record Programs(Path folder, Path gguf) {}

    /**
     * Returns empty if they are not available here.
     *
     * @throws IllegalStateException if they are not available although {@link TestEnvironment#requiresAll()}
     */
    public static Optional<Programs> programs(Model model) throws InterruptedException {
        try {
            synchronized (LlamaServer.class) {
                Path home = Files.createDirectories(TestEnvironment.projectDir().resolve(".demo"));
                try (RandomAccessFile file =
                                new RandomAccessFile(home.resolve("lock").toFile(), "rw");
                        FileLock _ = file.getChannel().lock()) {
                    Path folder = home.resolve("llama-programs");
                    run(
                            "get-llama-programs",
                            Map.of("EXTRA", "llama.cpp-tools-extra llama.cpp-examples"),
                            "bash",
                            script("get-llama-server.sh"),
                            folder.toString());
                    return Optional.of(new Programs(folder.resolve("bin"), modelFile(home, model)));
                }
            }
        } catch (CannotBeHad | IOException e) {
            var _ = unavailable(e);
            return Optional.empty();
        }
    }

    /** Returns a projector with which a model takes images; for {@link Model#SLOW} and the models of the tiny shape. */
    public static Path projector(Model model) throws InterruptedException {
        try {
            synchronized (LlamaServer.class) {
                Path home = Files.createDirectories(TestEnvironment.projectDir().resolve(".demo"));
                Path gguf = home.resolve("mmproj-" + model.name().toLowerCase(Locale.ROOT) + ".gguf");
                Path unfinished = Files.createTempFile(home, "unfinished", ".gguf");
                String width = model == Model.SLOW ? "512" : "32";
                run("mmproj", "python3", script("tiny_mmproj.py"), unfinished.toString(), "--text-embd", width);
                Files.move(unfinished, gguf, StandardCopyOption.REPLACE_EXISTING);
                return gguf;
            }
        } catch (CannotBeHad | IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private record Parts(Path program, Path gguf) {}

    private static Parts parts(Model model) throws CannotBeHad, IOException, InterruptedException {
        synchronized (LlamaServer.class) {
            Path home = Files.createDirectories(TestEnvironment.projectDir().resolve(".demo"));
            try (RandomAccessFile file =
                            new RandomAccessFile(home.resolve("lock").toFile(), "rw");
                    FileLock _ = file.getChannel().lock()) {
                return new Parts(program(home), modelFile(home, model));
            }
        }
    }

    private static Path program(Path home) throws CannotBeHad, InterruptedException {
        String system = System.getProperty("os.name", "") + " " + System.getProperty("os.arch", "");
        if (!system.equals("Linux amd64")) {
            throw new CannotBeHad("its script is for Linux on x86-64, this is " + system);
        }
        Path folder = home.resolve("llama");
        run("get-llama-server", "bash", script("get-llama-server.sh"), folder.toString());
        return folder.resolve("bin").resolve("llama-server");
    }

    private static Path modelFile(Path home, Model model) throws CannotBeHad, IOException, InterruptedException {
        Path gguf = home.resolve(model.name().toLowerCase(Locale.ROOT) + ".gguf");
        Path script = Path.of(script("tiny_gguf.py"));
        boolean upToDate =
                Files.exists(gguf) && Files.getLastModifiedTime(gguf).compareTo(Files.getLastModifiedTime(script)) >= 0;
        if (!upToDate) {
            Path unfinished = home.resolve("unfinished.gguf");
            List<String> command = new ArrayList<>(List.of("python3", script.toString(), unfinished.toString()));
            command.addAll(model.arguments());
            run("tiny-gguf", command.toArray(String[]::new));
            Files.move(unfinished, gguf, StandardCopyOption.REPLACE_EXISTING);
        }
        return gguf;
    }

    private static String script(String name) {
        return TestEnvironment.projectDir()
                .resolve("src")
                .resolve("demo")
                .resolve(name)
                .toString();
    }

    private static void run(String name, String... command) throws CannotBeHad, InterruptedException {
        run(name, Map.of(), command);
    }

    private static void run(String name, Map<String, @Nullable String> environment, String... command)
            throws CannotBeHad, InterruptedException {
        try (ChildProcess process = ChildProcess.start(name, List.of(command), environment)) {
            OptionalInt status = process.awaitExit(DOWNLOAD_PATIENCE);
            if (status.isEmpty() || status.getAsInt() != 0) {
                String how = status.isEmpty() ? "did not end" : "failed with status " + status.getAsInt();
                throw new CannotBeHad(String.valueOf(process.failure(how).getMessage()));
            }
        } catch (UncheckedIOException e) {
            throw new CannotBeHad(String.valueOf(e.getMessage()));
        }
    }

    private static LlamaServer launch(Path program, List<String> more) throws CannotBeHad, InterruptedException {
        int port = Broker.freePort();
        List<String> command =
                new ArrayList<>(List.of(program.toString(), "--host", "127.0.0.1", "--port", Integer.toString(port)));
        // more than one thread spins on shared cores; with few threads for HTTP, /health blocks behind queued
        // requests
        command.addAll(List.of("--no-webui", "-t", "1", "-tb", "1", "-c", "4096", "--threads-http", "64"));
        command.addAll(more);
        ChildProcess process = ChildProcess.start("llama-server", command, Map.of());
        URI url = URI.create("http://127.0.0.1:" + port);
        try {
            process.awaitOk(url.resolve("/health"), PATIENCE);
            return new LlamaServer(process, url, command);
        } catch (IllegalStateException e) {
            process.kill9();
            throw new CannotBeHad(String.valueOf(e.getMessage()));
        } catch (InterruptedException e) {
            process.kill9();
            throw e;
        }
    }

    public URI url() {
        return url;
    }

    public long pid() {
        return process.pid();
    }

    public ChildProcess process() {
        return process;
    }

    public void kill9() {
        process.kill9();
    }

    @Override
    public void close() {
        process.terminate();
        process.stop();
    }
}
