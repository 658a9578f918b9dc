package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.LlamaServer;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

/** A real broker and two real llama-servers at temperature 0, one of which is killed in mid-answer, again and again. */
class ContinuedLlamaIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    /** -Dpenstock.test.continued-kills=100 for more; each takes some seconds. */
    private static final int KILLS = Integer.getInteger("penstock.test.continued-kills", 12);

    private static final int PROMPTS = 4;
    private static final int TOKENS = 60;

    private static final Deque<AutoCloseable> OPEN = new ArrayDeque<>();
    private static final Map<String, LlamaServer> SERVERS = new HashMap<>();
    private static ReplyLog replies;
    private static JobSender jobs;

    @BeforeAll
    static void start() throws InterruptedException {
        SERVERS.put("one", server());
        SERVERS.put("two", server());
        Broker broker = Broker.start();
        OPEN.push(broker);
        PenstockProcess.Builder penstock = PenstockProcess.with(broker.bootstrap());
        SERVERS.forEach((name, server) -> penstock.node(name, "llama-server", server.url(), 2));
        OPEN.push(penstock.startReady());
        replies = ReplyLog.follow(broker.bootstrap());
        OPEN.push(replies);
        jobs = new JobSender(broker.bootstrap());
        OPEN.push(jobs);
    }

    private static LlamaServer server() throws InterruptedException {
        return switch (LlamaServer.start(LlamaServer.Model.SLOW)) {
            case LlamaServer.Start.Started(LlamaServer server) -> server;
            case LlamaServer.Start.Unavailable(String why) -> throw new TestAbortedException("SKIPPED: " + why);
        };
    }

    @AfterAll
    static void stop() throws Exception {
        for (AutoCloseable part : OPEN) {
            part.close();
        }
        SERVERS.values().forEach(LlamaServer::kill9);
    }

    private static void send(String id, int prompt) throws InterruptedException {
        jobs.sendRaw(
                null,
                "{\"job\":{\"id\":\"%s\"},\"model\":\"tiny\",\"temperature\":0,\"max_tokens\":%d,\"messages\":[{\"role\":\"user\",\"content\":\"Tell me about river %d\"}]}"
                        .formatted(id, TOKENS, prompt)
                        .getBytes(StandardCharsets.UTF_8));
        jobs.flush();
    }

    @Test
    void a_killed_server_leaves_the_text_that_an_unbroken_one_writes() throws InterruptedException {
        List<String> controls = new ArrayList<>();
        for (int prompt = 0; prompt < PROMPTS; prompt++) {
            send("control-" + prompt, prompt);
            replies.awaitOutcomes(List.of("control-" + prompt), PATIENCE);
            controls.add(replies.completedText("control-" + prompt));
        }
        Random random = new Random(1);
        List<String> differ = new ArrayList<>();
        int continued = 0;
        for (int kill = 0; kill < KILLS; kill++) {
            String id = "killed-" + kill;
            send(id, kill % PROMPTS);
            int chunks = 1 + random.nextInt(6);
            replies.await(
                    () -> replies.count(id, EventMark.Kind.CHUNK) >= chunks
                            || replies.reading(id).isClosed(),
                    PATIENCE,
                    () -> id + " has no chunk");
            String node = replies.all(id).getFirst().json().at("/job/node").asText();
            SERVERS.put(node, Objects.requireNonNull(SERVERS.get(node)).killAndRestart());
            replies.awaitOutcomes(List.of(id), PATIENCE);

            assertThat(replies.outcome(id).mark().kind()).as(id).isEqualTo(EventMark.Kind.COMPLETED);
            String text = replies.completedText(id);
            assertThat(replies.chunkText(id)).as(id).isEqualTo(text);
            int seam = seam(id);
            continued += seam < 0 ? 0 : 1;
            String control = controls.get(kill % PROMPTS);
            if (!text.equals(control)) {
                int first = firstDifference(text, control);
                differ.add("%s: seam at %d, first difference at %d".formatted(id, seam, first));
                assertThat(first).as(id).isGreaterThanOrEqualTo(seam);
            }
        }
        System.out.printf(
                "%d kills of a real llama-server: %d texts continued, %d differ from the unbroken text: %s%n",
                KILLS, continued, differ.size(), differ);
        assertThat(continued).as("continued texts").isGreaterThan(KILLS / 2);
        assertThat(differ).hasSizeLessThanOrEqualTo(KILLS / 20);
    }

    /** Returns the length of the text that was continued; −1 if the job ended before its server was killed. */
    private static int seam(String id) {
        int length = 0;
        boolean isContinued = false;
        for (ReplyLog.Event event : replies.pieces(id)) {
            isContinued |= event.mark().attempt() > 1;
            length += isContinued
                    ? 0
                    : event.json().at("/choices/0/delta/content").asText("").length();
        }
        return isContinued ? length : -1;
    }

    private static int firstDifference(String one, String other) {
        int at = 0;
        while (at < Math.min(one.length(), other.length()) && one.charAt(at) == other.charAt(at)) {
            at++;
        }
        return at;
    }
}
