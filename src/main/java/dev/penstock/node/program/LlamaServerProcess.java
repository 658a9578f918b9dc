package dev.penstock.node.program;

import dev.penstock.node.http.NodeClient;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.protocol.answer.ServerErrors;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import io.vertx.core.Vertx;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
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
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * A llama-server that Penstock keeps running, on a loopback port and with a secret key. If the server dies, Penstock
 * starts it again, each time after a longer delay. If it runs but does not answer, Penstock kills it, and then starts
 * it again.
 */
public final class LlamaServerProcess implements Upstream {
    private static final Logger LOG = Logger.getLogger(LlamaServerProcess.class);
    private static final Duration FIRST_WAIT = Duration.ofMillis(500);
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(30);
    /**
     * If a process has run for this long, it did not die because of its arguments. So the delay before the next start
     * is short again.
     */
    private static final Duration SOUND = Duration.ofMinutes(1);

    /**
     * The number of unanswered probes after which the server counts as hung. A probe waits for 3 s; even a busy server
     * answers within 20 ms.
     */
    private static final int HUNG = 3;

    private static final String PROTECTED = "/props";
    private static final Duration CHECK_PATIENCE = Duration.ofSeconds(3);

    private final NodeSettings.Program program;
    private final Map<String, Object> parameters;
    private final NodeSettings settings;
    private final String key = newKey();
    private final NodeClient client;
    /** A client with a wrong key, which Penstock's own server refuses. */
    private final NodeClient stranger;

    private final Port port;
    private final CompletableFuture<?> afterwards;
    private final CompletableFuture<Boolean> ended = new CompletableFuture<>();
    private final CountDownLatch closing = new CountDownLatch(1);
    private final SupervisedThread keeper;

    /* Guarded by this. */
    private @Nullable KeptProgram running;
    /** The process that is known to have answered at Penstock's address. */
    private @Nullable KeptProgram confirmed;

    private String lastWords = "is about to be started";
    /** The number of unanswered probes in a row, without a token between them. */
    private int unanswered;

    private boolean hung;

    public LlamaServerProcess(
            NodeSettings settings,
            NodeSettings.Program program,
            Map<String, Object> parameters,
            Vertx vertx,
            Duration connectTimeout,
            CompletableFuture<?> afterwards,
            Port port) {
        this.program = program;
        this.parameters = parameters;
        this.settings = settings;
        this.afterwards = afterwards;
        this.port = port;
        URI address = URI.create("http://127.0.0.1:" + port.number());
        client = new NodeClient(settings.listeningAt(address, key), vertx, connectTimeout);
        stranger = new NodeClient(settings.listeningAt(address, newKey()), vertx, connectTimeout);
        keeper = SupervisedThread.ofVirtual(
                "penstock-server-" + settings.name(), this::keepRunning, () -> ended.complete(true));
        keeper.start();
    }

    /** A port of the loopback interface. */
    public record Port(int number) {
        /** Returns a port that no program listens on now. */
        public static Port free() {
            try (ServerSocket any = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
                return new Port(any.getLocalPort());
            } catch (IOException e) {
                throw new IllegalStateException("no port is free on the loopback interface", e);
            }
        }

        boolean isFree() {
            try (ServerSocket socket = new ServerSocket()) {
                // binds as a server does, so that closed connections do not block the port
                socket.setReuseAddress(true);
                socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), number), 1);
                return true;
            } catch (IOException _) {
                return false;
            }
        }
    }

    private static String newKey() {
        byte[] random = new byte[16];
        new SecureRandom().nextBytes(random);
        return HexFormat.of().formatHex(random);
    }

    /** Returns the settings with the address on which the server listens now. */
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
    public WireProtocol.Continues continues(Prompt prompt, String text) {
        return client.continues(prompt, text);
    }

    @Override
    public OptionalLong countTokens(Prompt prompt) throws InterruptedException {
        return client.countTokens(prompt);
    }

    @Override
    public ProbeResult probe() throws InterruptedException {
        KeptProgram probed;
        synchronized (this) {
            probed = running;
            if (probed == null) {
                return ProbeResult.Away.of(title() + " " + lastWords);
            }
        }
        return switch (client.probe()) {
            case ProbeResult.Up up -> {
                answered();
                yield isOurs(probed) ? up : ProbeResult.Away.of(title() + " " + taken());
            }
            case ProbeResult.Loading loading -> {
                answered();
                yield loading;
            }
            case ProbeResult.Away away
            when away.timedOut() -> {
                unanswered(probed);
                yield away;
            }
            // the server is loading, because it listens only after it has read its arguments
            case ProbeResult.Away away -> {
                answered();
                yield new ProbeResult.Loading(away.words());
            }
        };
    }

    @Override
    public void heard() {
        answered();
    }

    private synchronized void answered() {
        unanswered = 0;
    }

    /**
     * Counts an unanswered probe. After too many of them, the process counts as hung. It is killed, and {@link
     * #keepRunning} starts another process.
     */
    private synchronized void unanswered(KeptProgram probed) {
        unanswered++;
        if (unanswered >= HUNG && probed == running && probed.process().isAlive()) {
            hung = true;
            unanswered = 0;
            probed.kill();
        }
    }

    /**
     * Returns whether the started process answers on the port, and not another program. Only Penstock's own server
     * accepts Penstock's key and refuses another key.
     */
    private boolean isOurs(KeptProgram probed) throws InterruptedException {
        synchronized (this) {
            if (probed == confirmed) {
                return true;
            }
        }
        try {
            boolean ours = client.get(PROTECTED, CHECK_PATIENCE).status() == 200
                    && stranger.get(PROTECTED, CHECK_PATIENCE).status() == 401;
            synchronized (this) {
                confirmed = ours ? probed : confirmed;
            }
            return ours;
        } catch (NodeClient.Unreachable _) {
            return false;
        }
    }

    private String taken() {
        return "cannot be started: port %d of 127.0.0.1 is taken by another program: end that one, or restart Penstock, which picks another port"
                .formatted(port.number());
    }

    @Override
    public CompletableFuture<?> ended() {
        return ended;
    }

    @Override
    public void close() {
        closing.countDown();
        keeper.stop();
        client.close();
        stranger.close();
    }

    private void keepRunning() throws InterruptedException {
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
    }

    /** @return the reason why the process ended */
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
        if (!port.isFree()) {
            return taken();
        }
        KeptProgram kept;
        try {
            kept = start(file.get());
        } catch (IOException e) {
            return "cannot be started: " + ServerErrors.shorten(Reason.of(e));
        }
        Process process = kept.process();
        LOG.infof("node=%s pid=%d is started at %s", settings, process.pid(), address());
        LastLines output = new LastLines();
        try {
            synchronized (this) {
                running = kept;
                hung = false;
                unanswered = 0;
            }
            // a platform thread, because reading from a pipe would block the carrier of a virtual thread. If it dies,
            // the
            // full pipe stops the server, the probes find it hung, and the next server gets a new reader
            Thread reading = Thread.ofPlatform().daemon().start(() -> read(process, output));
            // this thread only waits, so nothing in it can fail before the end
            Thread ending = Thread.ofVirtual().start(() -> endWhenClosing(kept));
            int status = process.waitFor();
            ending.interrupt();
            reading.join(Duration.ofSeconds(1));
            synchronized (this) {
                return hung
                        ? "lives, but did not answer %d probes in a row: it hangs, and was killed".formatted(HUNG)
                        : "ended with status %d: %s".formatted(status, output.inShort());
            }
        } finally {
            synchronized (this) {
                running = null;
            }
            kept.kill();
        }
    }

    private KeptProgram start(Path file) throws IOException {
        List<String> command = new ArrayList<>(List.of(file.toString()));
        command.addAll(LlamaArguments.ofServer(settings, program, port.number(), parameters));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        // the key is not an argument, because every user of this machine can read arguments
        builder.environment().put("LLAMA_API_KEY", key);
        return KeptProgram.start(builder, KeptProgram.Ending.TERMINATED, false);
    }

    private void read(Process process, LastLines output) {
        try (BufferedReader lines = process.inputReader()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                output.add(line);
                LOG.debugf("node=%s %s", settings.name(), line);
            }
        } catch (IOException _) {
            // the process has already ended
        }
    }

    private void endWhenClosing(KeptProgram kept) {
        try {
            closing.await();
            kept.end(KeptProgram.Ending.TERMINATED);
        } catch (InterruptedException _) {
            // the process has already ended
        }
    }
}
