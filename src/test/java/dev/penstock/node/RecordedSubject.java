package dev.penstock.node;

import dev.penstock.node.http.NodeClient;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Recording;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/** A recorded answer of a real server, byte for byte. */
final class RecordedSubject implements Subject {
    private static final Map<ContractCase, String> VLLM = Map.ofEntries(
            Map.entry(ContractCase.PLAIN_ANSWER, "vllm/chat-stream-usage"),
            Map.entry(ContractCase.STREAM, "vllm/chat-stream-usage"),
            Map.entry(ContractCase.COMPLETION, "vllm/completions-stream"),
            Map.entry(ContractCase.USAGE, "vllm/chat-stream-usage"),
            Map.entry(ContractCase.STOP, "vllm/chat-stream-natural-stop"),
            Map.entry(ContractCase.LENGTH, "vllm/chat-stream-usage-continuous"),
            Map.entry(ContractCase.TOOLS, "vllm/tool-required-stream"),
            Map.entry(ContractCase.JSON_SCHEMA, "vllm/json-schema-stream"),
            Map.entry(ContractCase.REASONING, "vllm/think-stream"),
            Map.entry(ContractCase.UNICODE, "vllm/chat-emoji-split-stream"),
            Map.entry(ContractCase.ERROR_BEFORE_THE_FIRST_TOKEN, "vllm/err-queue-full-stream"),
            Map.entry(ContractCase.ERROR_IN_MID_STREAM, "vllm/stream-engine-killed"),
            Map.entry(ContractCase.CUT_IN_MID_STREAM, "vllm/stream-sigkill"));

    private static final Map<ContractCase, String> LLAMA_SERVER = Map.ofEntries(
            Map.entry(ContractCase.PLAIN_ANSWER, "llama-server/chat-stream-usage"),
            Map.entry(ContractCase.STREAM, "llama-server/chat-stream-usage"),
            Map.entry(ContractCase.COMPLETION, "llama-server/completions-stream"),
            Map.entry(ContractCase.USAGE, "llama-server/chat-stream-usage"),
            Map.entry(ContractCase.STOP, "llama-server/chat-stream-natural-stop"),
            Map.entry(ContractCase.LENGTH, "llama-server/stream-queued-ping"),
            Map.entry(ContractCase.TOOLS, "llama-server/tools-required-stream"),
            Map.entry(ContractCase.REASONING, "llama-server/think-reasoning-stream"),
            Map.entry(ContractCase.ERROR_BEFORE_THE_FIRST_TOKEN, "llama-server/err-prompt-too-long-stream"),
            Map.entry(ContractCase.CUT_IN_MID_STREAM, "llama-server/stream-server-sigkill"));

    private static final Map<ContractCase, String> OLLAMA = Map.ofEntries(
            Map.entry(ContractCase.PLAIN_ANSWER, "ollama/chat-stream"),
            Map.entry(ContractCase.STREAM, "ollama/chat-stream"),
            Map.entry(ContractCase.COMPLETION, "ollama/generate-stream"),
            Map.entry(ContractCase.USAGE, "ollama/chat-stream"),
            Map.entry(ContractCase.STOP, "ollama/chat-stream-stop"),
            Map.entry(ContractCase.LENGTH, "ollama/chat-stream"),
            Map.entry(ContractCase.TOOLS, "ollama/tools-go-stream"),
            Map.entry(ContractCase.JSON_SCHEMA, "ollama/chat-format-schema-stream"),
            Map.entry(ContractCase.REASONING, "ollama/think-stream"),
            Map.entry(ContractCase.UNICODE, "ollama/native-chat-stream"),
            Map.entry(ContractCase.ERROR_BEFORE_THE_FIRST_TOKEN, "ollama/err-max-queue"),
            Map.entry(ContractCase.ERROR_IN_MID_STREAM, "ollama/kill-runner-stream"),
            Map.entry(ContractCase.CUT_IN_MID_STREAM, "ollama/server-sigkill-stream"));

    /** The recordings of vLLM and llama-server, which have this API too. */
    private static final Map<ContractCase, String> ANTHROPIC = Map.ofEntries(
            Map.entry(ContractCase.PLAIN_ANSWER, "llama-server/anthropic-messages-stream"),
            Map.entry(ContractCase.STREAM, "vllm/anthropic-messages-stream"),
            Map.entry(ContractCase.COMPLETION, "vllm/anthropic-messages-stream"),
            Map.entry(ContractCase.USAGE, "llama-server/anthropic-messages-stream"),
            Map.entry(ContractCase.STOP, "vllm/anthropic-stop-sequence-stream"),
            Map.entry(ContractCase.LENGTH, "llama-server/anthropic-messages-stream"),
            Map.entry(ContractCase.TOOLS, "vllm/anthropic-tool-stream"),
            Map.entry(ContractCase.REASONING, "llama-server/think-anthropic-stream"),
            Map.entry(ContractCase.ERROR_BEFORE_THE_FIRST_TOKEN, "vllm/err-queue-full-anthropic"));

    private final FakeUpstream fake;
    private final Map<ContractCase, String> recordings;
    private final NodeClient client;

    RecordedSubject(FakeUpstream fake, Backend backend, Vertx vertx) {
        this.fake = fake;
        recordings = recordings(backend);
        client = new NodeClient(NodeSettings.at(backend, URI.create(fake.url())), vertx, Duration.ofSeconds(2));
    }

    static boolean has(Backend backend, ContractCase wanted) {
        return recordings(backend).containsKey(wanted);
    }

    private static Map<ContractCase, String> recordings(Backend backend) {
        return switch (backend) {
            case VLLM -> VLLM;
            case LLAMA_SERVER -> LLAMA_SERVER;
            case OLLAMA -> OLLAMA;
            case ANTHROPIC -> ANTHROPIC;
            // there are no recordings of these
            case OPENAI, AZURE_OPENAI, LM_STUDIO, LLAMA_CLI, OPENAI_COMPATIBLE -> Map.of();
        };
    }

    @Override
    public Optional<Stage> stage(ContractCase wanted) {
        String name = recordings.get(wanted);
        if (name == null) {
            return Optional.empty();
        }
        Recording recording = Recording.of(name);
        Answer answer = Answer.raw(recording.bytes());
        fake.script(_ -> recording.ended() ? answer : answer.closing());
        return Optional.of(Stage.of(client, "tiny"));
    }
}
