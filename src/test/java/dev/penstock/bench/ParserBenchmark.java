package dev.penstock.bench;

import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.AnthropicStream;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.OllamaStream;
import dev.penstock.node.protocol.answer.OpenAiStream;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/**
 * What one delta of a streamed answer costs, for each kind of stream, and what one job's record costs. An answer has
 * {@value #DELTAS} deltas.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class ParserBenchmark {
    private static final int DELTAS = 64;
    private static final int LONGEST = 1 << 20;

    private final byte[] openAi = openAi();
    private final byte[] ollama = ollama();
    private final byte[] anthropic = anthropic();
    private final byte[] job = ("{\"model\":\"llama\",\"messages\":[{\"role\":\"user\",\"content\":\""
                    + "word ".repeat(180) + "\"}],\"max_tokens\":64,\"job\":{\"id\":\"job-1\"}}")
            .getBytes(StandardCharsets.UTF_8);
    private final JobDocument.Arrival arrival = new JobDocument.Arrival(null, new JobId("derived"), Instant.EPOCH);
    private final JobDocument.Defaults defaults = new JobDocument.Defaults(
            Priority.NORMAL, JobDocument.DEFAULT_TENANT, Duration.ofMinutes(10), Duration.ofHours(1));

    private static byte[] openAi() {
        StringBuilder answer = new StringBuilder();
        String head = "{\"id\":\"chatcmpl-3f2a9c\",\"object\":\"chat.completion.chunk\",\"created\":1764460800,"
                + "\"model\":\"meta-llama/Llama-3.2-3B-Instruct\",\"choices\":[{\"index\":0,";
        answer.append("data: ")
                .append(head)
                .append("\"delta\":{\"role\":\"assistant\",\"content\":\"\"},")
                .append("\"logprobs\":null,\"finish_reason\":null}]}\n\n");
        for (int i = 0; i < DELTAS; i++) {
            answer.append("data: ")
                    .append(head)
                    .append("\"delta\":{\"content\":\" word")
                    .append(i)
                    .append("\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
        }
        return answer.append("data: ")
                .append(head)
                .append("\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
                .toString()
                .getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] ollama() {
        StringBuilder answer = new StringBuilder();
        String head = "{\"model\":\"llama3.2:3b\",\"created_at\":\"2026-11-30T00:00:00.123456789Z\",";
        for (int i = 0; i < DELTAS; i++) {
            answer.append(head)
                    .append("\"message\":{\"role\":\"assistant\",\"content\":\" word")
                    .append(i)
                    .append("\"},\"done\":false}\n");
        }
        return answer.append(head)
                .append("\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"stop\",\"done\":true,")
                .append("\"prompt_eval_count\":26,\"eval_count\":64}\n")
                .toString()
                .getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] anthropic() {
        StringBuilder answer = new StringBuilder();
        answer.append("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",")
                .append("\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"claude\",")
                .append("\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n")
                .append("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,")
                .append("\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
        for (int i = 0; i < DELTAS; i++) {
            answer.append("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,")
                    .append("\"delta\":{\"type\":\"text_delta\",\"text\":\" word")
                    .append(i)
                    .append("\"}}\n\n");
        }
        return answer.append("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n")
                .append(
                        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},")
                .append("\"usage\":{\"output_tokens\":64}}\n\n")
                .append("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
                .toString()
                .getBytes(StandardCharsets.UTF_8);
    }

    @Benchmark
    @OperationsPerInvocation(DELTAS)
    public void openAiDelta(Blackhole sink) {
        parse(new OpenAiStream(true, 1), openAi, sink);
    }

    @Benchmark
    @OperationsPerInvocation(DELTAS)
    public void ollamaDelta(Blackhole sink) {
        parse(new OllamaStream(true), ollama, sink);
    }

    @Benchmark
    @OperationsPerInvocation(DELTAS)
    public void anthropicDelta(Blackhole sink) {
        parse(new AnthropicStream(), anthropic, sink);
    }

    private static void parse(AnswerParser parser, byte[] answer, Blackhole sink) {
        Consumer<TokenEvent> events = event -> {
            if (event instanceof TokenEvent.Broken broken) {
                throw new IllegalStateException(broken.toString());
            }
            sink.consume(event);
        };
        Cutter cutter = parser.cutter(LONGEST, events);
        cutter.feed(answer);
        cutter.end();
        parser.end(events);
    }

    @Benchmark
    public Object jobRecord() {
        return JobDocument.parse(job, arrival, defaults);
    }
}
