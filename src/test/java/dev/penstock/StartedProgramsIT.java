package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.LlamaServer;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** The whole service with a llama-server that it runs itself, and a llama-cli for each request. */
class StartedProgramsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    @Test
    void jobs_survive_the_death_of_their_server_and_the_server_does_not_survive_penstock() throws Exception {
        LlamaServer.Programs endless =
                LlamaServer.programs(LlamaServer.Model.ENDLESS).orElse(null);
        LlamaServer.Programs tiny = LlamaServer.programs(LlamaServer.Model.TINY).orElse(null);
        if (endless == null || tiny == null) {
            Assumptions.abort("SKIPPED: no llama.cpp can be had here");
            return;
        }
        try (Broker broker = Broker.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .config("penstock.nodes.own.backend", "llama-server")
                        .config(
                                "penstock.nodes.own.command",
                                endless.folder().resolve("llama-server").toString())
                        .config("penstock.nodes.own.model-path", endless.gguf().toString())
                        .config("penstock.nodes.own.arguments", "-t,1,--no-webui")
                        .config("penstock.nodes.cli.backend", "llama-cli")
                        .config(
                                "penstock.nodes.cli.command",
                                tiny.folder().resolve("llama-cli").toString())
                        .config("penstock.nodes.cli.model-path", tiny.gguf().toString())
                        .config("penstock.nodes.cli.arguments", "-t,1")
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(null, document("served", "endless"));
            jobs.sendRaw(null, document("started", "tiny"));
            jobs.flush();
            assertCompleted(replies, "served");
            assertCompleted(replies, "started");

            ProcessHandle first = servers(penstock).findFirst().orElseThrow();
            first.destroyForcibly();
            Conditions.await(() -> !first.isAlive(), PATIENCE, "the first program has ended");
            jobs.sendRaw(null, document("after", "endless"));
            jobs.flush();
            assertCompleted(replies, "after");

            Rest.Reply refused = Rest.post(
                    penstock.url(),
                    "/v1/nodes",
                    "application/json",
                    "{\"name\":\"x\",\"backend\":\"llama-cli\",\"model-path\":\"/\"}");
            assertThat(refused.status()).isEqualTo(400);
            assertThat(refused.code()).isEqualTo("invalid_request");
            assertThat(refused.body()).contains("a node that starts a process comes from the configuration only");

            ProcessHandle second = servers(penstock).findFirst().orElseThrow();
            penstock.kill9();
            Conditions.await(() -> !second.isAlive(), PATIENCE, "the second program has ended");
        }
    }

    private static Stream<ProcessHandle> servers(PenstockProcess penstock) {
        return ProcessHandle.of(penstock.pid()).stream()
                .flatMap(ProcessHandle::descendants)
                .filter(process -> process.info().command().orElse("").endsWith("llama-server"));
    }

    private static void assertCompleted(ReplyLog replies, String id) throws InterruptedException {
        replies.awaitOutcomes(List.of(id), PATIENCE);
        assertThat(replies.outcome(id).mark().kind())
                .as("%s", replies.outcome(id))
                .isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(replies.completedText(id)).isNotBlank();
    }

    private static byte[] document(String id, String model) {
        return "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":8,\"job\":{\"id\":\"%s\"}}"
                .formatted(model, id)
                .getBytes(StandardCharsets.UTF_8);
    }
}
