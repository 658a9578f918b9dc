package dev.penstock.node.http;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.protocol.answer.ServerErrors;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.read.AddedNodeReader;
import dev.penstock.wire.Reason;
import java.net.URLEncoder;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Describes the failures of one node. A message has the node's name, the server's message and the way out, but never
 * the node's key.
 */
public final class NodeErrors {
    /** Matches a key in a message, because some servers repeat the refused key or parts of it. */
    private static final Pattern KEY = Pattern.compile("\\b(?:sk|key|api)-(?!version\\b|key\\b)[A-Za-z0-9_*.-]{6,}");

    /**
     * Matches the message of vLLM 0.32.0: "maximum context length is 2048 tokens. However, your prompt contains at
     * least 2049 input tokens". OpenAI's message is similar.
     */
    private static final Pattern TOKEN_LIMIT =
            Pattern.compile("(?:maximum context length (?:is|of)|configured limit of) (\\d+)");

    private static final Pattern PROMPT_TOKENS =
            Pattern.compile("(?:contains|requested|resulted in|has)(?: at least)? (\\d+) (?:input )?tokens");

    /** The shortest header value that is removed from messages. A message may contain a shorter value by chance. */
    private static final int SHORTEST_SECRET = 4;

    /**
     * The number of first characters that are enough to recognise a secret. Some servers show only the beginning of a
     * secret, and a message may end within it.
     */
    private static final int TELLING = 8;

    /** The shortest secret that is also removed in base64, because a shorter one could match by chance. */
    private static final int SHORTEST_IN_BASE64 = 6;

    private static final int TELLING_IN_BASE64 = 12;

    private final NodeSettings node;
    private final WireProtocol protocol;
    private final List<Pattern> secrets;

    public NodeErrors(NodeSettings node, WireProtocol protocol) {
        this.node = node;
        this.protocol = protocol;
        Stream<String> ofHeaders = node.headers().entrySet().stream()
                .filter(header -> AddedNodeReader.isSecret(header.getKey()))
                .map(header -> header.getValue().strip().replaceFirst("^(?i:bearer|basic)\\s+", ""))
                .filter(secret -> secret.length() >= SHORTEST_SECRET);
        secrets = Stream.concat(Stream.ofNullable(node.apiKey()), ofHeaders)
                .flatMap(NodeErrors::shown)
                .toList();
    }

    /**
     * Returns patterns for a whole secret, and for a word that begins like the secret. There are such patterns for
     * plain text, for base64 and for percent-encoding.
     */
    private static Stream<Pattern> shown(String secret) {
        String encoded = URLEncoder.encode(secret, StandardCharsets.UTF_8);
        return Stream.concat(
                Stream.of(secret, encoded).distinct().flatMap(NodeErrors::plain),
                secret.length() < SHORTEST_IN_BASE64 ? Stream.of() : inBase64(secret));
    }

    /**
     * Returns a pattern for each of the three forms that a secret has in base64. The form depends on the number of
     * bytes before the secret, such as a user name and a colon. Each pattern also matches the rest of the base64 word
     * around the secret.
     */
    private static Stream<Pattern> inBase64(String secret) {
        byte[] bytes = secret.getBytes(StandardCharsets.UTF_8);
        return IntStream.range(0, 3)
                .mapToObj(before -> {
                    byte[] shifted = new byte[before + bytes.length];
                    System.arraycopy(bytes, 0, shifted, before, bytes.length);
                    String whole = Base64.getEncoder().withoutPadding().encodeToString(shifted);
                    // leaves out the characters that also encode bytes outside of the secret
                    int first = (before * 8 + 5) / 6;
                    return whole.substring(first, shifted.length * 8 / 6);
                })
                .map(inner -> inner.substring(0, Math.min(inner.length(), TELLING_IN_BASE64)))
                .map(beginning -> Pattern.compile("[A-Za-z0-9+/_-]*" + either(beginning) + "[A-Za-z0-9+/_-]*={0,2}"));
    }

    /** Returns a pattern that matches the text in both base64 alphabets. */
    private static String either(String text) {
        return text.replaceAll("[+-]", "[+-]").replaceAll("[/_]", "[/_]");
    }

    private static Stream<Pattern> plain(String secret) {
        Stream<String> beginning = secret.length() > TELLING
                ? Stream.of(Pattern.quote(secret.substring(0, TELLING)) + "[^\\s\"',;(){}<>]*")
                : Stream.of();
        return Stream.concat(Stream.of(Pattern.quote(secret)), beginning).map(Pattern::compile);
    }

    /** @param retryAfter the wait that the server asks for; null if it asks for none */
    JobFailure refused(int status, String body, @Nullable Prompt prompt, @Nullable Duration retryAfter) {
        return refused(status, body, prompt)
                .with(new JobFailure.Again(retryAfter, ServerErrors.isLoading(status, body)));
    }

    /**
     * Returns the failure of a probe, without the server's text. The caller who adds a node chooses its address, but
     * may have no right to read the answers from this address.
     */
    JobFailure probed(int status, String body) {
        JobFailure.Code code = refused(status, body, null).code();
        String what = ServerErrors.isLoading(status, body)
                ? " (it loads its model)"
                : status == 200 ? " with what is no list of models" : "";
        String message = "%s answered %d%s".formatted(node.title(), status, what);
        return JobFailure.of(code, code == JobFailure.Code.NODE_UNAUTHORIZED ? message + keyHint() : message);
    }

    /** @param prompt the refused request; null if it was a request for the list of models */
    public JobFailure refused(int status, String body, @Nullable Prompt prompt) {
        String words = ServerErrors.shorten(clean(ServerErrors.words(body)));
        String message = "%s answered %d: %s".formatted(node.title(), status, words.isEmpty() ? "(no text)" : words);
        Task task = prompt == null ? null : prompt.task();
        String model = prompt == null ? "" : prompt.model();
        return switch (ServerErrors.meaning(status, body, task)) {
            case ServerErrors.Meaning.UnknownModel()
            when prompt == null -> JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, message);
            case ServerErrors.Meaning.UnknownModel() ->
                JobFailure.of(
                        JobFailure.Code.MODEL_NOT_FOUND,
                        "model '%s' is not on node '%s': %s (%s)"
                                .formatted(model, node.name(), protocol.getModel(model), message));
            case ServerErrors.Meaning.Incapable(String _)
            when prompt == null -> JobFailure.of(JobFailure.Code.NODE_ERROR, message);
            case ServerErrors.Meaning.Incapable(String what) ->
                JobFailure.of(
                        JobFailure.Code.MODEL_NOT_FOUND,
                        "model '%s' on node '%s' %s: name another model (%s)"
                                .formatted(model, node.name(), what, message));
            case ServerErrors.Meaning.PromptTooLong() ->
                JobFailure.of(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED, tooLong(body) + message);
            case ServerErrors.Meaning.Coded(JobFailure.Code code) ->
                JobFailure.of(
                        code,
                        code == JobFailure.Code.NODE_UNAUTHORIZED
                                ? message.replaceFirst("\\.$", "") + keyHint()
                                : message);
        };
    }

    private static String tooLong(String body) {
        long prompt = ServerErrors.count(body, "n_prompt_tokens", PROMPT_TOKENS);
        long limit = ServerErrors.count(body, "n_ctx", TOKEN_LIMIT);
        return prompt == 0 || limit == 0
                ? ""
                : String.format(Locale.ROOT, "prompt has %,d tokens, the node's limit is %,d: ", prompt, limit);
    }

    private String keyHint() {
        return node.apiKey() == null
                ? ". It wants a key: penstock.nodes.%s.api-key".formatted(node.name())
                : ". See penstock.nodes.%s.api-key".formatted(node.name());
    }

    /** Returns the failure for a server or a connection that failed in the middle of an answer. */
    JobFailure failed(JobFailure failure) {
        return new JobFailure(
                failure.code(),
                node.title() + " " + ServerErrors.shorten(clean(failure.message())),
                failure.param(),
                failure.node());
    }

    public JobFailure broken(String what) {
        return failed(JobFailure.of(JobFailure.Code.STREAM_BROKEN, what));
    }

    public JobFailure unreachable(Throwable cause) {
        String start = protocol.startCommand();
        String advice = start.isEmpty() ? " See penstock.nodes.%s.url".formatted(node.name()) : " (" + start + ")";
        String words = clean(Reason.of(cause));
        String what;
        if (cause instanceof UnknownHostException) {
            what = " has a host name that is not known: " + words
                    + ". See penstock.nodes.%s.url".formatted(node.name());
        } else if (words.contains("onnection refused")) {
            what = " refused the connection: is it running?" + advice;
        } else {
            what = " could not be reached: " + ServerErrors.shorten(words) + (start.isEmpty() ? "." : "") + advice;
        }
        return JobFailure.of(JobFailure.Code.NODE_UNREACHABLE, node.title() + what);
    }

    public String timedOut(String path, String within) {
        return "%s did not answer %s within %s".formatted(node.title(), path, within);
    }

    private String clean(String words) {
        String without = words;
        for (Pattern secret : secrets) {
            without = secret.matcher(without).replaceAll("…");
        }
        return KEY.matcher(without).replaceAll("…");
    }
}
