package dev.penstock.testkit.upstream;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.netty.channel.ChannelHandlerContext;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** One client connection: a request, its answer, the next request. Its event loop owns it. */
final class Connection {
    private static final Pattern GENERATING = Pattern.compile(
            "(?:/v1|/openai/deployments/[^/]+)/(?:chat/completions|completions|embeddings)|/v1/(?:rerank|score)|/api/(?:chat|generate|embed)|/v1/messages");
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final ChannelHandlerContext channel;
    private final AtomicReference<Part> parts;
    private final Counts counts;
    private final DateHeader dates;
    private final Outlet outlet;
    private final RequestReader reader = new RequestReader();
    private @Nullable Delivery delivery;
    private boolean serving;
    private boolean closing;

    /** @param parts read anew for each request */
    Connection(ChannelHandlerContext channel, AtomicReference<Part> parts, Counts counts, DateHeader dates) {
        this.channel = channel;
        this.parts = parts;
        this.counts = counts;
        this.dates = dates;
        this.outlet = new Outlet(channel);
    }

    void received(Buffer bytes) {
        reader.feed(bytes);
        serveNext();
    }

    boolean idle() {
        return delivery == null;
    }

    /** The client has closed or half closed the connection, or it broke. */
    void closed() {
        closing = true;
        outlet.abandon();
        if (delivery != null) {
            delivery.cancel();
        }
    }

    /** The server is stopped. */
    void drop() {
        closing = true;
        if (delivery == null) {
            outlet.close();
        } else {
            delivery.drop();
        }
    }

    /** It is called again after each answer, directly or later. */
    private void serveNext() {
        if (serving) {
            return;
        }
        serving = true;
        try {
            while (delivery == null && !closing) {
                RequestReader.Request request = reader.next();
                if (request == null) {
                    if (reader.asksToContinue()) {
                        outlet.begin(Pieces.WHOLE);
                        outlet.write("HTTP/1.1 100 Continue\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
                    }
                    return;
                }
                serve(request);
            }
        } catch (RequestReader.Malformed e) {
            outlet.begin(Pieces.WHOLE);
            outlet.write(("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n" + e.getMessage())
                    .getBytes(StandardCharsets.UTF_8));
            closing = true;
            outlet.close();
        } finally {
            serving = false;
        }
    }

    private void serve(RequestReader.Request read) {
        RequestReader.Head head = read.head();
        Part part = parts.get();
        Optional<JsonNode> body = parse(read.body());
        boolean generating = GENERATING.matcher(head.path()).matches()
                && head.method().equals("POST")
                && !(head.path().equals("/api/generate") && isLoad(body));
        Counts.Ticket ticket = counts.started(
                head.path(),
                generating,
                sequence -> UpstreamRequest.of(sequence, head, body.orElse(MissingNode.getInstance())));
        UpstreamRequest request = ticket.request();
        Answer answer = generating ? generate(part, request, body.isPresent()) : page(part, request);
        Dialect dialect = dialect(part.listings(), ticket.id(), request, answer);
        Delivery.Listener listener = new Delivery.Listener() {
            @Override
            public void sends(int more, int soFar) {
                counts.sent(ticket, more, soFar);
            }

            @Override
            public void ended(Outcome outcome) {
                if (isPull(request)
                        && outcome == Outcome.FINISHED
                        && answer.ending().how() == Answer.How.WHOLE) {
                    parts.updateAndGet(now -> now.with(now.listings().with(pulled(request.model()))));
                }
                counts.ended(ticket, outcome);
            }

            @Override
            public void left(boolean close) {
                delivery = null;
                if (close) {
                    closing = true;
                    outlet.close();
                } else {
                    serveNext();
                }
            }
        };
        Delivery started = new Delivery(
                outlet, channel.channel().eventLoop(), dialect, request.stream(), head.last(), answer, listener);
        delivery = started;
        started.start();
    }

    private Answer generate(Part part, UpstreamRequest request, boolean readable) {
        if (!readable) {
            return Answer.refuse(400, "the body is no JSON");
        }
        try {
            Answer answer = part.script().apply(request).after(request.continued());
            if (!(answer.content() instanceof Answer.Content.Text)) {
                return answer;
            }
            if (request.path().endsWith("/embeddings") || request.path().equals("/api/embed")) {
                return answer.instead(Vectors.document(request));
            }
            return Scores.isAskedBy(request)
                    ? answer.instead(Scores.document(request, part.listings().flavour()))
                    : answer;
        } catch (RuntimeException e) {
            return Answer.refuse(400, "the script failed: " + e);
        }
    }

    private Answer page(Part part, UpstreamRequest request) {
        Optional<Answer> scripted = part.probes().apply(request);
        return scripted.or(() -> command(part, request))
                .orElseGet(() -> Answer.page(
                        request.method().equals("GET")
                                ? part.listings()
                                        .get(request.path(), dates.now())
                                        .orElseGet(() -> part.listings().missing(request.path()))
                                : part.listings().missing(request.path())));
    }

    /** Returns the answer to a command that changes Ollama's models. */
    private Optional<Answer> command(Part part, UpstreamRequest request) {
        String model = request.model();
        Optional<ServedModel> there = part.listings().find(model);
        return switch (request.method() + " " + request.path()) {
            case "POST /api/pull" -> Optional.of(part.pulls().apply(request));
            case "DELETE /api/delete" -> {
                there.ifPresent(known ->
                        parts.updateAndGet(now -> now.with(now.listings().without(known.name()))));
                yield Optional.of(
                        there.isPresent()
                                ? Answer.page(new Listings.Page(200, "", ""))
                                : Answer.refuse(404, "model '" + model + "' not found"));
            }
            case "POST /api/generate" -> {
                boolean unload = request.body().path("keep_alive").asInt(-1) == 0;
                there.ifPresent(known -> parts.updateAndGet(now ->
                        now.with(now.listings().with(new ServedModel(known.name(), known.contextLength(), !unload)))));
                yield Optional.of(
                        there.isPresent()
                                ? Answer.page(new Listings.Page(
                                        200,
                                        "",
                                        "{\"model\":%s,\"created_at\":\"%s\",\"response\":\"\",\"done\":true,\"done_reason\":\"%s\"}"
                                                .formatted(
                                                        Dialect.quoted(model),
                                                        dates.now(),
                                                        unload ? "unload" : "load")))
                                : Answer.refuse(404, "model '" + model + "' not found"));
            }
            default -> Optional.empty();
        };
    }

    private static boolean isLoad(Optional<JsonNode> body) {
        return body.isPresent() && !body.get().has("prompt");
    }

    private static boolean isPull(UpstreamRequest request) {
        return request.path().equals("/api/pull") && request.method().equals("POST");
    }

    private static ServedModel pulled(String name) {
        return new ServedModel(name, 4096, false);
    }

    private Dialect dialect(Listings listings, long id, UpstreamRequest request, Answer answer) {
        Instant now = dates.now();
        Answer.Content.Text text = answer.content() instanceof Answer.Content.Text said
                ? said
                : new Answer.Content.Text(List.of(), List.of(), "stop", OptionalInt.empty());
        String model = request.model().isEmpty() && !listings.models().isEmpty()
                ? listings.models().getFirst().name()
                : request.model();
        Said said = new Said(request, text, model, String.format("%016x", id + 0xa000_0000_0000_0000L), now);
        if (request.path().equals("/v1/messages")) {
            return new AnthropicDialect(said, dates.of(now));
        }
        if (request.path().startsWith("/openai/")) {
            return new AzureDialect(said, dates.of(now));
        }
        if (request.path().startsWith("/api/")) {
            OllamaDialect ollama = new OllamaDialect(said, dates.of(now));
            return isPull(request) ? new PullDialect(ollama) : ollama;
        }
        return switch (listings.flavour()) {
            case VLLM -> new VllmDialect(said, dates.of(now));
            case LLAMA_SERVER -> new LlamaServerDialect(said);
        };
    }

    private static Optional<JsonNode> parse(Buffer body) {
        try {
            JsonNode json = MAPPER.readTree(body.getBytes());
            return json.isObject() ? Optional.of(json) : Optional.empty();
        } catch (IOException _) {
            return Optional.empty();
        }
    }
}
