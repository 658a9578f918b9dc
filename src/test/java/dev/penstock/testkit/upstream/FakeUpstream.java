package dev.penstock.testkit.upstream;

import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.net.NetServer;
import io.vertx.core.net.NetServerOptions;
import io.vertx.core.net.NetSocket;
import io.vertx.core.net.impl.NetSocketInternal;
import java.io.IOException;
import java.io.OutputStream;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A scripted model server at wire level. On one port of 127.0.0.1 it has the OpenAI-compatible API of vLLM or
 * llama-server, Ollama's own API, Anthropic's messages and Azure OpenAI's paths.
 *
 * <p>All methods are thread-safe. Scripts run on the event loop: they must not wait, and must not call {@link #stop},
 * {@link #restart} or {@link #close}.
 */
public final class FakeUpstream implements AutoCloseable {
    private static final Duration REFUSED_WITHIN = Duration.ofSeconds(2);

    private final Vertx vertx;
    private final Context context;
    private final Counts counts;
    private final DateHeader dates;
    private final AtomicReference<Part> part = new AtomicReference<>(new Part(
            new Listings(Flavour.VLLM, List.of(ServedModel.of("tiny")), 4),
            new PromptScript(Map.of()),
            _ -> Optional.empty(),
            _ -> Answer.tokens(PullDialect.lines(4))));

    /* The event loop owns these. */
    private final Set<Connection> connections = new HashSet<>();
    private @Nullable NetServer server;

    private volatile int port;

    private FakeUpstream(int port) {
        Clock clock = Clock.systemUTC();
        this.vertx = Vertx.vertx(new VertxOptions()
                .setEventLoopPoolSize(1)
                .setWorkerPoolSize(1)
                .setInternalBlockingPoolSize(1)
                .setFileSystemOptions(
                        new FileSystemOptions().setFileCachingEnabled(false).setClassPathResolvingEnabled(false)));
        this.context = vertx.getOrCreateContext();
        this.counts = new Counts(clock);
        this.dates = new DateHeader(clock);
        this.port = port;
    }

    /**
     * Starts it on a free port. The port is not in the system's range for clients, so that no client takes it between
     * {@link #stop} and {@link #restart}.
     */
    public static FakeUpstream start() {
        for (int attempt = 1; ; attempt++) {
            try {
                return start(ThreadLocalRandom.current().nextInt(20_000, 32_000));
            } catch (CompletionException e) {
                if (!(e.getCause() instanceof BindException) || attempt == 100) {
                    throw e;
                }
            }
        }
    }

    public static FakeUpstream start(int port) {
        FakeUpstream fake = new FakeUpstream(port);
        try {
            fake.restart();
            return fake;
        } catch (RuntimeException e) {
            fake.close();
            throw e;
        }
    }

    public int port() {
        return port;
    }

    public String url() {
        return "http://127.0.0.1:" + port;
    }

    /**
     * Closes every connection (FIN, without an end to answers in flight) and the port. Connections are refused when
     * it returns.
     */
    public void stop() {
        CompletableFuture<Boolean> stopped = new CompletableFuture<>();
        context.runOnContext(_ -> {
            List.copyOf(connections).forEach(Connection::drop);
            NetServer running = server;
            server = null;
            if (running == null) {
                stopped.complete(false);
            } else {
                running.close().onComplete(_ -> stopped.complete(true));
            }
        });
        if (stopped.join()) {
            awaitRefused();
        }
    }

    /** A selector releases a closed port only at its next select. */
    private void awaitRefused() {
        long deadline = System.nanoTime() + REFUSED_WITHIN.toNanos();
        while (System.nanoTime() < deadline) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            } catch (IOException _) {
                return;
            }
        }
    }

    /** Listens again, on the same port. */
    public void restart() {
        CompletableFuture<@Nullable Void> started = new CompletableFuture<>();
        context.runOnContext(_ -> {
            if (server != null) {
                started.complete(null);
                return;
            }
            NetServer opened = vertx.createNetServer(new NetServerOptions()
                    .setHost("127.0.0.1")
                    .setPort(port)
                    .setAcceptBacklog(2048)
                    .setTcpNoDelay(true));
            opened.connectHandler(this::connected);
            opened.listen()
                    .onSuccess(listening -> {
                        server = listening;
                        port = listening.actualPort();
                        started.complete(null);
                    })
                    .onFailure(started::completeExceptionally);
        });
        started.join();
    }

    /** Closes idle connections, as servers do after a few seconds. */
    public void closeIdleConnections() {
        CompletableFuture<@Nullable Void> closed = new CompletableFuture<>();
        context.runOnContext(_ -> {
            List.copyOf(connections).stream().filter(Connection::idle).forEach(Connection::drop);
            closed.complete(null);
        });
        closed.join();
    }

    @Override
    public void close() {
        stop();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    /* The behaviour. */

    /** Sets the answer to every generating request. Without a script, prompts may contain instructions. */
    public FakeUpstream script(Function<UpstreamRequest, Answer> script) {
        part.updateAndGet(current -> current.withScript(script));
        return this;
    }

    /** Treats every prompt as if it began with these instructions, for example {@code "tokens=10 delay=20"}. */
    public FakeUpstream byPrompt(String defaults) {
        Map<String, String> pairs = new LinkedHashMap<>();
        Arrays.stream(defaults.strip().split("\\s+", -1))
                .filter(pair -> !pair.isEmpty())
                .map(pair -> pair.split("=", 2))
                .forEach(pair -> pairs.put(pair[0], pair.length == 1 ? "" : pair[1]));
        return script(new PromptScript(pairs));
    }

    /** Sets the answers to all other requests. If it gives none, the simulated server's answer applies. */
    public FakeUpstream probes(Function<UpstreamRequest, Optional<Answer>> probes) {
        part.updateAndGet(current -> current.withProbes(probes));
        return this;
    }

    /** Sets how Ollama answers a pull, with a line for each token. After a complete answer the server has the model. */
    public FakeUpstream pulls(Function<UpstreamRequest, Answer> pulls) {
        part.updateAndGet(current -> current.withPulls(pulls));
        return this;
    }

    /** Returns a pull with this number of steps. {@link Answer#every} sets the time of each. */
    public static Answer pull(int steps) {
        return Answer.tokens(PullDialect.lines(steps));
    }

    public FakeUpstream flavour(Flavour flavour) {
        return listings(now -> new Listings(flavour, now.models(), now.slots()));
    }

    public FakeUpstream models(String... names) {
        return models(Arrays.stream(names).map(ServedModel::of).toList());
    }

    public FakeUpstream models(List<ServedModel> models) {
        return listings(now -> new Listings(now.flavour(), models, now.slots()));
    }

    /** Sets the number of slots in llama-server's /props. */
    public FakeUpstream slots(int slots) {
        return listings(now -> new Listings(now.flavour(), now.models(), slots));
    }

    private FakeUpstream listings(Function<Listings, Listings> change) {
        part.updateAndGet(current -> current.with(change.apply(current.listings())));
        return this;
    }

    /* The records. */

    public Stats stats() {
        return counts.stats();
    }

    /** Returns the generating requests, oldest first; the last 10000 at most. */
    public List<Exchange> requests() {
        return counts.exchanges();
    }

    /** Sets how many requests are kept. */
    public FakeUpstream keep(int atMost) {
        counts.keep(atMost);
        return this;
    }

    /** Waits for a total number of generating requests. */
    public Stats awaitRequests(long atLeast, Duration patience) throws InterruptedException {
        return counts.await(stats -> stats.requests() >= atLeast, atLeast + " requests", patience);
    }

    /** Waits until exactly this number is in flight. */
    public Stats awaitInFlight(int exactly, Duration patience) throws InterruptedException {
        return counts.await(stats -> stats.inFlight() == exactly, exactly + " in flight", patience);
    }

    public Stats await(Predicate<Stats> condition, Duration patience) throws InterruptedException {
        return counts.await(condition, "a condition", patience);
    }

    /** Clears counts and requests. Requests in flight stay. */
    public void reset() {
        counts.reset();
    }

    private void connected(NetSocket socket) {
        counts.connected();
        Connection connection =
                new Connection(((NetSocketInternal) socket).channelHandlerContext(), part, counts, dates);
        connections.add(connection);
        socket.handler(connection::received);
        socket.exceptionHandler(_ -> {});
        socket.closeHandler(_ -> {
            connections.remove(connection);
            connection.closed();
        });
    }

    /**
     * Runs as a process of its own, until its stdin ends: {@code --port N}, {@code --flavour vllm|llama-server},
     * {@code --models a,b}, {@code --slots N}, and every instruction of a prompt as a default: {@code --tokens 20
     * --delay 5}.
     */
    public static void main(String[] args) throws IOException {
        Map<String, String> options = new LinkedHashMap<>();
        for (int i = 0; i < args.length; i++) {
            boolean value = i + 1 < args.length && !args[i + 1].startsWith("--");
            options.put(args[i].replaceFirst("^--", ""), value ? args[i + 1] : "");
            i += value ? 1 : 0;
        }
        String port = options.remove("port");
        String flavour = options.remove("flavour");
        String models = options.remove("models");
        String slots = options.remove("slots");
        PromptScript script = new PromptScript(options);
        try (FakeUpstream fake = port == null ? start() : start(Integer.parseInt(port))) {
            fake.keep(0).script(script);
            fake.flavour("llama-server".equals(flavour) ? Flavour.LLAMA_SERVER : Flavour.VLLM);
            if (models != null) {
                fake.models(models.split(",", -1));
            }
            if (slots != null) {
                fake.slots(Integer.parseInt(slots));
            }
            System.out.println("ready " + fake.url());
            System.in.transferTo(OutputStream.nullOutputStream());
        }
    }
}
