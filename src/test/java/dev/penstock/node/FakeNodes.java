package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.models.Later;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.signals.Scrape;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.Pauses;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Vertx;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Nodes whose servers a test plays, without a network. They are probed only on the test's command. */
public final class FakeNodes extends Nodes {
    private static final Vertx VERTX = Vertx.vertx();

    private final Map<String, Server> servers = new ConcurrentHashMap<>();
    private volatile Runnable onFind = () -> {};

    private final Later timer;

    public FakeNodes(Settings settings, Clock clock) {
        this(settings, clock, Later.onTimer());
    }

    /** @param timer runs the nodes' tasks after a delay */
    public FakeNodes(Settings settings, Clock clock, Later timer) {
        super(settings, VERTX, clock, new SimpleMeterRegistry(), 0);
        this.timer = timer;
        start();
    }

    @Override
    Later timer() {
        return timer;
    }

    @Override
    Upstream upstream(NodeSettings wanted, CompletableFuture<?> afterwards) {
        Server server = new Server(wanted);
        servers.put(wanted.name(), server);
        return server;
    }

    @Override
    void begin(Node node) {}

    /** Sets a callback. The scheduler calls it, under its lock, when it looks up a node. */
    public void onFind(Runnable looked) {
        onFind = looked;
    }

    @Override
    public Optional<Node> find(String name) {
        onFind.run();
        return super.find(name);
    }

    public Server server(String node) {
        return Objects.requireNonNull(servers.get(node));
    }

    /** Sets what is paused. */
    public void paused(Pauses.Pause... now) {
        Pauses pauses = Pauses.NONE;
        for (Pauses.Pause pause : now) {
            pauses = pauses.with(pause);
        }
        pause(pauses);
    }

    /** Probes a node's server. */
    public void probe(String node) {
        try {
            super.find(node).orElseThrow().probe();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** One model server. */
    public final class Server implements Upstream {
        private final NodeSettings settings;
        private final List<Call> calls = new CopyOnWriteArrayList<>();
        private volatile ProbeResult state = ProbeResult.Away.of("not started");
        private volatile Consumer<Call> onCall = _ -> {};
        private volatile @Nullable TokenStream scripted;
        private volatile Scrape shown = new Scrape.None();
        private volatile Function<Prompt, OptionalLong> count = _ -> OptionalLong.empty();

        private Server(NodeSettings settings) {
            this.settings = settings;
        }

        /** The server is up with these models, and was probed. */
        public Server up(String... models) {
            return up(null, models);
        }

        /**
         * The server is up with these models, and was probed.
         *
         * @param context the context of each model; null if the server does not list it
         */
        public Server up(@Nullable Long context, String... models) {
            state = new ProbeResult.Up(
                    Stream.of(models)
                            .map(model -> new WireProtocol.Model(model, true, context))
                            .toList(),
                    0);
            FakeNodes.this.probe(settings.name());
            return this;
        }

        /** The server is loading its model, and was probed. */
        public void loading() {
            state = new ProbeResult.Loading("loading");
            FakeNodes.this.probe(settings.name());
        }

        /** The server is gone, and was probed. */
        public void down() {
            state = ProbeResult.Away.of("gone");
            FakeNodes.this.probe(settings.name());
        }

        /** The server is gone, and no probe has found that out yet. It refuses calls from now on. */
        public void kill() {
            state = ProbeResult.Away.of("gone");
            onCall = call -> call.fail(JobFailure.of(JobFailure.Code.NODE_UNREACHABLE, "refused the connection"));
            calls.forEach(call -> call.fail(JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed the connection")));
        }

        /** Sets what the server does with each request. */
        public Server onCall(Consumer<Call> does) {
            onCall = does;
            return this;
        }

        /** Sets the stream that answers each request from now on, in place of a call. */
        public Server answers(TokenStream stream) {
            scripted = stream;
            return this;
        }

        /** Returns all requests to the server. */
        public List<Call> calls() {
            return calls;
        }

        @Override
        public NodeSettings settings() {
            return settings;
        }

        @Override
        public String address() {
            return settings.url().toString();
        }

        @Override
        public TokenStream stream(Prompt prompt) {
            TokenStream stream = scripted;
            if (stream != null) {
                return stream;
            }
            Call call = new Call(prompt);
            calls.add(call);
            onCall.accept(call);
            return call;
        }

        @Override
        public WireProtocol.Continues continues(Prompt prompt, String text) {
            return settings.backend() == Backend.LLAMA_CLI
                    ? WireProtocol.Continues.CANNOT
                    : WireProtocol.of(settings).continues(prompt, text);
        }

        @Override
        public ProbeResult probe() {
            return state;
        }

        /** Sets how the server counts the tokens of a prompt. */
        public Server counts(Function<Prompt, OptionalLong> does) {
            count = does;
            return this;
        }

        @Override
        public OptionalLong countTokens(Prompt prompt) {
            return count.apply(prompt);
        }

        /** Sets what the server shows of its load. */
        public void shows(Scrape scrape) {
            shown = scrape;
        }

        @Override
        public Scrape scrape() {
            return shown;
        }

        @Override
        public void close() {}
    }

    /** One request to a server, and its answer. */
    public static final class Call implements TokenStream {
        private final LinkedBlockingQueue<Optional<TokenEvent>> events = new LinkedBlockingQueue<>();
        private final Prompt prompt;
        private volatile boolean closed;

        Call(Prompt prompt) {
            this.prompt = prompt;
        }

        public Prompt prompt() {
            return prompt;
        }

        /** Returns the requested model. */
        public String model() {
            return prompt.model();
        }

        public boolean isOpen() {
            return !closed;
        }

        public Call say(TokenEvent event) {
            events.add(Optional.of(event));
            return this;
        }

        /** Sends a whole answer. */
        public void answer(String text) {
            say(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text));
            say(new TokenEvent.Finish(0, "stop"));
            say(new TokenEvent.End());
        }

        public void fail(JobFailure failure) {
            say(new TokenEvent.Broken(failure));
        }

        @Override
        public List<String> ignoredParameters() {
            return List.of();
        }

        @Override
        public @Nullable TokenEvent next(long nanos, int chars) throws InterruptedException {
            Optional<TokenEvent> event = events.poll(nanos, TimeUnit.NANOSECONDS);
            return event == null ? null : event.orElse(null);
        }

        @Override
        public void wake() {
            events.add(Optional.empty());
        }

        @Override
        public void close() {
            closed = true;
        }
    }
}
