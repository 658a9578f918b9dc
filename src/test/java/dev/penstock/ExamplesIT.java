package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The example consumers, run as their README says, read what the service wrote: the same texts and outcomes. */
class ExamplesIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final Path EXAMPLES = TestEnvironment.projectDir().resolve("examples");

    private static Broker broker;
    private static List<String> expected;

    @BeforeAll
    static void runJobs() throws InterruptedException {
        broker = Broker.start();
        try (FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 8)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap())) {
            assertThat(penstock.process().isAlive()).isTrue();
            // the first attempt breaks off: its chunks are void in the end
            fake.script(request -> request.sequence() % 3 == 0
                    ? Answer.unicode(12).every(Duration.ofMillis(10)).resetAfter(6)
                    : Answer.unicode(12).every(Duration.ofMillis(10)));
            ProducerRecord<byte[], byte[]> refused =
                    new ProducerRecord<>("prompt-jobs", "{}".getBytes(StandardCharsets.UTF_8));
            refused.headers().add("job-id", "refused".getBytes(StandardCharsets.UTF_8));
            jobs.send(refused);
            List<String> ids = new ArrayList<>();
            for (int i = 0; i < 30; i++) {
                ids.add("example-" + i);
                jobs.send("example-" + i, "hello");
            }
            jobs.flush();
            replies.awaitOutcomes(ids, PATIENCE);
            replies.awaitEvent("refused", event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);
            expected = ids.stream()
                    .map(id -> "{\"id\":\"%s\",\"outcome\":\"%s\",\"attempt\":%d,\"text\":%s,\"events\":%d}"
                            .formatted(
                                    id,
                                    replies.outcome(id).mark().kind().wireName(),
                                    replies.reading(id).attempt(),
                                    new String(Json.bytes(replies.chunkText(id)), StandardCharsets.UTF_8),
                                    replies.valid(id).size()))
                    .sorted()
                    .toList();
        }
    }

    @AfterAll
    static void stop() {
        broker.close();
    }

    @Test
    void the_java_consumer_reads_the_same() throws InterruptedException {
        Path libraries =
                TestEnvironment.buildDir().resolve("quarkus-app").resolve("lib").resolve("main");

        check(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                libraries + "/*",
                EXAMPLES.resolve("java").resolve("ReplyConsumer.java").toString()));
    }

    @Test
    void the_python_consumer_reads_the_same() throws InterruptedException {
        check(List.of(
                python().toString(),
                EXAMPLES.resolve("python").resolve("consumer.py").toString()));
    }

    /** Of an id that has only a refused record nothing else comes: who waits for it is told. */
    private static void check(List<String> program) throws InterruptedException {
        assertThat(run(program, "--until-idle", "5")).isEqualTo(expected);
        assertThat(run(program, "--id", "refused"))
                .containsExactly(
                        "{\"id\":\"refused\",\"outcome\":\"rejected\",\"attempt\":0,\"text\":\"\",\"events\":0}");
    }

    private static List<String> run(List<String> program, String... options) throws InterruptedException {
        List<String> command = new ArrayList<>(program);
        command.addAll(List.of("--bootstrap", broker.bootstrap(), "--json"));
        command.addAll(List.of(options));
        try (ChildProcess consumer = ChildProcess.start("example", command, Map.of())) {
            assertThat(consumer.awaitExit(PATIENCE)).as("%s", consumer.output()).hasValue(0);
            return consumer.output().stream()
                    .filter(line -> line.startsWith("{"))
                    .sorted()
                    .toList();
        }
    }

    /** A virtual environment with what the example needs; kept in {@code .demo} for the next time. */
    private static Path python() throws InterruptedException {
        Path home = TestEnvironment.projectDir().resolve(".demo").resolve("python");
        Path python = home.resolve("bin").resolve("python");
        String requirements =
                EXAMPLES.resolve("python").resolve("requirements.txt").toString();
        boolean there = succeeds(List.of(python.toString(), "-c", "import confluent_kafka"))
                || (succeeds(List.of("python3", "-m", "venv", home.toString()))
                        && succeeds(List.of(python.toString(), "-m", "pip", "install", "-q", "-r", requirements)));
        if (!there && !TestEnvironment.requiresAll()) {
            Assumptions.abort("SKIPPED: no Python with confluent-kafka can be had here");
        }
        assertThat(there).as("Python with confluent-kafka in " + home).isTrue();
        return python;
    }

    private static boolean succeeds(List<String> command) throws InterruptedException {
        if (command.getFirst().startsWith("/") && !Files.exists(Path.of(command.getFirst()))) {
            return false;
        }
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            return process.waitFor() == 0;
        } catch (IOException _) {
            return false;
        }
    }
}
