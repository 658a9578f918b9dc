package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.http.Probe;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.protocol.answer.ServerErrors;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.read.TestSettings;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Runs the contract against the servers in VLLM_URL, OLLAMA_HOST, OPENAI_BASE_URL and similar variables, and prints a
 * table of cases by backend. It exits with 1 if a case failed.
 */
final class LiveBackends {
    private static final Duration CONNECT = Duration.ofSeconds(5);
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    /** So short that any wait times out. */
    private static final Duration AT_ONCE = Duration.ofNanos(1);

    private static final int TRIES = 20;
    /** A test never sends a longer prompt than this. */
    private static final long LONGEST_CONTEXT = 40_000;

    private static final Pattern ANSWERED = Pattern.compile("answered (\\d+): (.*)");
    /** vLLM: "auto" tool choice requires --enable-auto-tool-choice; The model does not support Embeddings API. */
    private static final Pattern LACKING = Pattern.compile(
            "not support|unsupported|not enabled|not implemented|requires? (?:a |the )?(?:--|reasoning parser)");

    private LiveBackends() {}

    public static void main(String[] args) throws Exception {
        List<NodeSettings> nodes = TestSettings.of(System.getenv()).nodes();
        if (nodes.isEmpty()) {
            System.err.println("nothing to run against: set VLLM_URL, OLLAMA_HOST, LMSTUDIO_URL, LLAMA_SERVER_URL,"
                    + " OPENAI_API_KEY (OPENAI_BASE_URL), AZURE_OPENAI_ENDPOINT or ANTHROPIC_API_KEY");
            System.exit(2);
        }
        Vertx vertx = Vertx.vertx();
        List<String> failures = new ArrayList<>();
        StringBuilder table = new StringBuilder("| backend | model |");
        for (ContractCase wanted : ContractCase.values()) {
            table.append(' ').append(wanted.title()).append(" |");
        }
        table.append("\n|---|---|")
                .append("---|".repeat(ContractCase.values().length))
                .append('\n');
        for (NodeSettings node : nodes) {
            try (NodeClient client = new NodeClient(node, vertx, CONNECT)) {
                String model = model(node, client, failures);
                table.append("| %s | %s |".formatted(node.backend().wireName(), model == null ? "–" : model));
                for (ContractCase wanted : ContractCase.values()) {
                    String result = model == null ? "–" : result(client, model, wanted, failures);
                    table.append(' ').append(result).append(" |");
                }
                table.append('\n');
            }
        }
        System.out.println(table);
        failures.forEach(System.out::println);
        vertx.close().toCompletionStage().toCompletableFuture().join();
        System.exit(failures.isEmpty() ? 0 : 1);
    }

    private static @Nullable String model(NodeSettings node, NodeClient client, List<String> failures)
            throws InterruptedException {
        if (node.model() != null) {
            return node.model();
        }
        return switch (Probe.of(client)) {
            case ProbeResult.Up up
            when !up.models().isEmpty() -> chosen(up.models()).id();
            case ProbeResult.Up _ -> {
                failures.add(node.name() + ": lists no model");
                yield null;
            }
            case ProbeResult.Loading(String words) -> {
                failures.add(node.name() + ": " + words);
                yield null;
            }
            case ProbeResult.Away(String words, boolean _, boolean _) -> {
                failures.add(node.name() + ": " + words);
                yield null;
            }
        };
    }

    private static WireProtocol.Model chosen(List<WireProtocol.Model> models) {
        return models.stream().filter(WireProtocol.Model::loaded).findFirst().orElse(models.getFirst());
    }

    private static String result(NodeClient client, String model, ContractCase wanted, List<String> failures) {
        try {
            Optional<Stage> stage = stage(client, model, wanted);
            if (stage.isEmpty()) {
                return "–";
            }
            wanted.check(stage.get());
            return "yes";
        } catch (Exception | AssertionError e) {
            failures.add("%s, %s: %s"
                    .formatted(client.title(), wanted.title(), ServerErrors.shorten(String.valueOf(e.getMessage()))));
            return "NO";
        }
    }

    /** A test breaks no server of a user. A model that lacks a feature is no failure of the backend. */
    private static Optional<Stage> stage(NodeClient client, String model, ContractCase wanted) throws Exception {
        Stage stage = Stage.of(client, model);
        return switch (wanted) {
            case ERROR_IN_MID_STREAM, CUT_IN_MID_STREAM, CONNECT_TIMEOUT -> Optional.empty();
            // no server sends its first token so soon
            case FIRST_TOKEN_TIMEOUT -> Optional.of(stage.within(AT_ONCE, AT_ONCE));
            case IDLE_TIMEOUT -> {
                Stage hurried = stage.saying("Tell a very long story about a river")
                        .within(PATIENCE, AT_ONCE)
                        .trying(TRIES);
                yield pauses(hurried, wanted) ? Optional.of(hurried) : Optional.empty();
            }
            case ERROR_BEFORE_THE_FIRST_TOKEN -> refused(client, stage);
            case STOP -> Optional.of(stage.saying("Say the one word: yes").trying(TRIES));
            case CANCEL -> Optional.of(stage.saying("Tell a very long story about a river"));
            case TOOLS, REASONING -> {
                Stage often = stage.trying(TRIES);
                yield can(often, wanted.prompt(often), wanted) ? Optional.of(often) : Optional.empty();
            }
            case EMBEDDINGS -> {
                Prompt one = new Prompt(Task.EMBEDDINGS, model, Map.of("input", "Hi"), Map.of(), Map.of(), 0, null);
                yield can(stage, one, wanted) ? Optional.of(stage) : Optional.empty();
            }
            default -> Optional.of(stage.trying(TRIES));
        };
    }

    /** A server that answers under any name has a single model, and refuses a prompt that exceeds its context. */
    private static Optional<Stage> refused(NodeClient client, Stage stage) throws Exception {
        ContractCase wanted = ContractCase.ERROR_BEFORE_THE_FIRST_TOKEN;
        Stage unknown = Stage.of(client, "no-such-model-here");
        if (Heard.of(unknown, wanted.prompt(unknown)).failure() != null) {
            return Optional.of(unknown);
        }
        Long context =
                Probe.of(client) instanceof ProbeResult.Up up && !up.models().isEmpty()
                        ? chosen(up.models()).context()
                        : null;
        return context == null || context > LONGEST_CONTEXT
                ? Optional.empty()
                : Optional.of(stage.saying("river ".repeat(Math.toIntExact(context))));
    }

    /**
     * Returns whether it pauses between two tokens of its answer. A fast server does not, and a model that begins
     * with reasoning may not.
     */
    private static boolean pauses(Stage stage, ContractCase wanted) throws Exception {
        Heard heard = Heard.until(stage, wanted.prompt(stage), said -> said.failure() != null);
        JobFailure failure = heard.failure();
        boolean silent = failure != null && failure.code() == JobFailure.Code.IDLE_TIMEOUT;
        return silent ? !heard.pieces().isEmpty() : failure != null;
    }

    /** A refusal counts as a missing feature only if the server reports that. Otherwise the case fails. */
    private static boolean can(Stage stage, Prompt prompt, ContractCase wanted) throws Exception {
        Heard heard;
        try {
            heard = Heard.until(stage, prompt, said -> said.failure() != null || shows(said, wanted));
        } catch (WireProtocol.Unsupported e) {
            return e.failure().code() != JobFailure.Code.MODEL_NOT_FOUND;
        }
        if (heard.failure() != null) {
            return !lacks(heard.requireFailure().message(), wanted);
        }
        return shows(heard, wanted);
    }

    /** A model without this skill may ignore the request for it. */
    private static boolean shows(Heard heard, ContractCase wanted) {
        return switch (wanted) {
            case TOOLS ->
                !heard.choice().toolCalls().isEmpty()
                        || "tool_calls".equals(heard.choice().finishReason());
            case REASONING -> heard.choice().text().containsKey(TokenEvent.Field.REASONING);
            default -> true;
        };
    }

    /** @param message the message of a failure, with the server's status and text at its end */
    private static boolean lacks(String message, ContractCase wanted) {
        Matcher said = ANSWERED.matcher(message);
        if (!said.find()) {
            return false;
        }
        // a vLLM whose model has no embeddings has no such path
        if (said.group(1).equals("404")) {
            return message.contains("makes no embeddings");
        }
        String words = said.group(2).toLowerCase(Locale.ROOT);
        String subject = switch (wanted) {
            case TOOLS -> "tool";
            case REASONING -> "think|reason";
            case EMBEDDINGS -> "embed";
            default -> throw new IllegalArgumentException(wanted.title());
        };
        return Pattern.compile(subject).matcher(words).find()
                && LACKING.matcher(words).find();
    }
}
