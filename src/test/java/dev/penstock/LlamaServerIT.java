package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.LlamaServer;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** A real broker and a real llama-server. */
class LlamaServerIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    @Test
    void tokens_of_a_real_model_server_come_as_chunks_and_a_cancel_frees_its_slot() throws InterruptedException {
        if (!(LlamaServer.start(LlamaServer.Model.ENDLESS) instanceof LlamaServer.Start.Started(LlamaServer llama))) {
            Assumptions.abort("SKIPPED: no llama-server can be had here");
            return;
        }
        if (!(LlamaServer.start(LlamaServer.Model.TINY, "--alias", "slow")
                instanceof LlamaServer.Start.Started(LlamaServer another))) {
            llama.close();
            Assumptions.abort("SKIPPED: no second llama-server can be had here");
            return;
        }
        try (llama;
                another;
                Broker broker = Broker.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .environment("LLAMA_SERVER_URL", llama.url().toString())
                        .node("another", "llama-server", another.url(), 4)
                        .config("penstock.profiles.fast.llama-server", LlamaServer.MODEL)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(null, document("real", "\"model\":\"tiny\",\"max_tokens\":40"));
            jobs.sendRaw(null, document("endless", "\"model\":\"tiny\",\"max_tokens\":3500"));
            jobs.flush();

            replies.awaitOutcomes(List.of("real"), PATIENCE);
            assertThat(replies.outcome("real").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
            assertThat(replies.chunkText("real"))
                    .isEqualTo(replies.completedText("real"))
                    .isNotBlank();
            assertThat(replies.outcome("real")
                            .json()
                            .path("usage")
                            .path("completion_tokens")
                            .asInt())
                    .isEqualTo(40);
            assertThat(Rest.get(penstock.url(), "/v1/nodes/llama-server")
                            .json()
                            .path("limit")
                            .asInt())
                    .as("its own total_slots")
                    .isEqualTo(4);

            List<String> fast = IntStream.range(0, 8).mapToObj(i -> "fast-" + i).toList();
            fast.forEach(id -> jobs.sendRaw(null, document(id, "\"model\":\"fast\",\"max_tokens\":5")));
            jobs.sendRaw(null, document("slow", "\"model\":\"slow\",\"max_tokens\":5"));
            jobs.flush();
            replies.awaitOutcomes(fast, PATIENCE);
            replies.awaitOutcomes(List.of("slow"), PATIENCE);
            assertThat(fast).allSatisfy(id -> {
                assertThat(replies.outcome(id).json().at("/job/node").asText()).isEqualTo("llama-server");
                assertThat(replies.outcome(id).json().at("/model").asText()).isEqualTo(LlamaServer.MODEL);
            });
            assertThat(replies.outcome("slow").json().at("/job/node").asText()).isEqualTo("another");
            assertThat(replies.outcome("slow").json().at("/model").asText()).isEqualTo("slow");

            if (!replies.reading("endless").isClosed()) {
                Rest.delete(penstock.url(), "/v1/jobs/endless");
            }
            replies.awaitOutcomes(List.of("endless"), PATIENCE);
            awaitFreeSlots(llama);
            jobs.sendRaw(null, document("after", "\"model\":\"tiny\",\"max_tokens\":5"));
            jobs.flush();
            replies.awaitOutcomes(List.of("after"), PATIENCE);
            assertThat(replies.outcome("after").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        }
    }

    /** As its own /slots tells. */
    private static void awaitFreeSlots(LlamaServer llama) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        JsonNode slots = Rest.get(llama.url(), "/slots").json();
        while (slots.findValuesAsText("is_processing").contains("true")) {
            assertThat(System.nanoTime()).as("busy: %s", slots).isLessThan(until);
            TimeUnit.MILLISECONDS.sleep(50);
            slots = Rest.get(llama.url(), "/slots").json();
        }
        assertThat(slots).isNotEmpty();
    }

    private static byte[] document(String id, String parameters) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],%s,\"job\":{\"id\":\"%s\"}}"
                .formatted(parameters, id)
                .getBytes(StandardCharsets.UTF_8);
    }
}
