package dev.penstock.node;

import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.Reason;
import io.vertx.core.Vertx;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * A llama-server that Penstock keeps running, on a port of the loopback interface and with a key that nobody else knows.
 * When it dies it is started again, later each time. A shell between the two ends it when Penstock has died without a
 * word: it waits for the end of its input, which the kernel brings about.
 */
final class LlamaServerProcess implements Upstream {
    private static final Logger LOG = Logger.getLogger(LlamaServerProcess.class);
    private static final Duration FIRST_WAIT = Duration.ofMillis(500);
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(30);
    /** One that ran for so long did not die of its arguments. */
    private static final Duration SOUND = Duration.ofMinutes(1);

    private static final int GRACE_SECONDS = 5;
    private static final Path SHELL = Path.of("/bin/sh");
    private static final String KEEPER = """
            exec 3<&0
            "$@" </dev/null 3<&- &
            server=$!
            { cat; kill -TERM $server; sleep %d; kill -KILL $server; } <&3 >/dev/null 2>&1 &
            watch=$!
            wait $server
            status=$?
            kill -KILL $watch
            exit $status
            """.formatted(GRACE_SECONDS);

    private final NodeSettings.Program program;
    private final Map<String, Object> parameters;
    private final NodeSettings settings;
    private final String key = newKey();
    private final NodeClient client;
    private final CompletableFuture<?> afterwards;
    private final CompletableFuture<Boolean> ended = new CompletableFuture<>();
    private final CountDownLatch closing = new CountDownLatch(1);

    /* Guarded by this. */
    private @Nullable Process running;
    private String lastWords = "is about to be started";

    LlamaServerProcess(
            NodeSettings settings,
            NodeSettings.Program program,
            Map<String, Object> parameters,
            Vertx vertx,
            Duration connectTimeout,
            CompletableFuture<?> afterwards) {
        this.program = program;
        this.parameters = parameters;
        this.settings = settings;
        this.afterwards = afterwards;
        client = new NodeClient(
                settings.listeningAt(URI.create("http://127.0.0.1:" + freePort()), key), vertx, connectTimeout);
        Thread.ofVirtual().name("penstock-server-" + settings.name()).start(this::keepRunning);
    }

    private static String newKey() {
        byte[] random = new byte[16];
        new SecureRandom().nextBytes(random);
        return HexFormat.of().formatHex(random);
    }

    private static int freePort() {
        try (ServerSocket any = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return any.getLocalPort();
        } catch (IOException e) {
            throw new IllegalStateException("no port is free on the loopback interface", e);
        }
    }

    /** With the address that it listens on now. */
    @Override
    public NodeSettings settings() {
        return client.settings();
    }

    @Override
    public String address() {
        return client.address();
    }

    @Override
    public TokenStream stream(Prompt prompt) throws WireProtocol.Unsupported {
        return client.stream(prompt);
    }

    @Override
    public Node.ProbeResult probe() throws InterruptedException {
        synchronized (this) {
            if (running == null) {
                return Node.ProbeResult.Away.of(title() + " " + lastWords);
            }
        }
        Node.ProbeResult result = client.probe();
        // it listens only once it has read its arguments
        return result instanceof Node.ProbeResult.Away(String words, boolean silent, boolean _) && !silent
                ? new Node.ProbeResult.Loading(words)
                : result;
    }

    @Override
    public CompletableFuture<?> ended() {
        return ended;
    }

    @Override
    public void close() {
        closing.countDown();
        client.close();
    }

    private void keepRunning() {
        try {
            afterwards.handle((_, _) -> true).join();
            Duration wait = FIRST_WAIT;
            while (closing.getCount() > 0) {
                long begun = System.nanoTime();
                String why = runOnce();
                boolean sound = System.nanoTime() - begun > SOUND.toNanos();
                wait = sound ? FIRST_WAIT : wait;
                if (closing.getCount() > 0) {
                    LOG.warnf("node=%s %s; it is started again in %d ms", settings, why, wait.toMillis());
                    synchronized (this) {
                        lastWords = why;
                    }
                    if (closing.await(wait.toMillis(), TimeUnit.MILLISECONDS)) {
                        break;
                    }
                    wait = wait.multipliedBy(2).compareTo(LONGEST_WAIT) > 0 ? LONGEST_WAIT : wait.multipliedBy(2);
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } finally {
            ended.complete(true);
        }
    }

    /** @return why there is none any more */
    private String runOnce() throws InterruptedException {
        Optional<Path> file = Executables.find(program.command());
        if (file.isEmpty()) {
            return "cannot be started: there is no program '%s' (penstock.nodes.%s.command)"
                    .formatted(program.command(), settings.name());
        }
        if (!Files.isReadable(program.modelPath()) || !Files.isRegularFile(program.modelPath())) {
            return "cannot be started: %s is no file that can be read (penstock.nodes.%s.model-path)"
                    .formatted(program.modelPath(), settings.name());
        }
        Process process;
        try {
            process = start(file.get());
        } catch (IOException e) {
            return "cannot be started: " + ServerErrors.shorten(Reason.of(e));
        }
        LOG.infof("node=%s pid=%d is started at %s", settings, process.pid(), address());
        LastLines said = new LastLines();
        try {
            synchronized (this) {
                running = process;
            }
            // a real one: reading from a pipe would hold the carrier of a virtual one
            Thread reading = Thread.ofPlatform().daemon().start(() -> read(process, said));
            Thread ending = Thread.ofVirtual().start(() -> endWhenClosing(process));
            int status = process.waitFor();
            ending.interrupt();
            reading.join(Duration.ofSeconds(1));
            return "ended with status %d: %s".formatted(status, said.inShort());
        } finally {
            synchronized (this) {
                running = null;
            }
            end(process);
        }
    }

    private Process start(Path file) throws IOException {
        List<String> command = new ArrayList<>();
        if (Files.isExecutable(SHELL)) {
            command.addAll(List.of(SHELL.toString(), "-c", KEEPER, "penstock-keeper"));
        }
        command.add(file.toString());
        command.addAll(LlamaArguments.ofServer(settings, program, client.port(), parameters));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        // not as an argument, which everybody on this machine can read
        builder.environment().put("LLAMA_API_KEY", key);
        return builder.start();
    }

    private void read(Process process, LastLines said) {
        try (BufferedReader lines = process.inputReader()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                said.add(line);
                LOG.debugf("node=%s %s", settings.name(), line);
            }
        } catch (IOException _) {
            // it has ended
        }
    }

    private void endWhenClosing(Process process) {
        try {
            closing.await();
            end(process);
            if (!process.waitFor(GRACE_SECONDS, TimeUnit.SECONDS)) {
                kill(process);
            }
        } catch (InterruptedException _) {
            // it has ended
        }
    }

    /** The keeper ends it; where there is none, the signal does. */
    private static void end(Process process) {
        process.descendants().forEach(ProcessHandle::destroy);
        try {
            process.getOutputStream().close();
        } catch (IOException _) {
            // it has ended
        }
        if (process.descendants().findAny().isEmpty()) {
            process.destroy();
        }
    }

    private static void kill(Process process) {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }
}
