package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.EventMark;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.ExampleGroup;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.wire.Json;
import dev.penstock.wire.record.EventHeaders;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.TopicConfig;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The example consumers, run as in their README, read the same texts and outcomes that the service wrote. */
class ExamplesIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final Path EXAMPLES = TestEnvironment.projectDir().resolve("examples");
    private static final Path DEMO = TestEnvironment.projectDir().resolve(".demo");

    private static Broker broker;
    private static ReplyLog replies;
    /** The events of jobs that continue the text of an earlier attempt. */
    private static final Map<String, String> RESUMED_TEXTS = new HashMap<>();

    @BeforeAll
    static void runJobs() throws InterruptedException {
        broker = Broker.start();
        try (FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 8)
                        .startReady();
                JobSender jobs = new JobSender(broker.bootstrap())) {
            assertThat(penstock.process().isAlive()).isTrue();
            assertThat(new KafkaClients(Map.of("bootstrap.servers", broker.bootstrap()), 1)
                            .topicConfig("prompt-replies", TopicConfig.COMPRESSION_TYPE_CONFIG))
                    .as("what KafkaJS has no codec for by itself")
                    .hasValue("lz4");
            replies = ReplyLog.follow(broker.bootstrap());
            // the first attempt breaks off: its chunks become void
            fake.script(request -> request.sequence() % 3 == 0
                    ? Answer.unicode(12).every(Duration.ofMillis(10)).resetAfter(6)
                    : Answer.unicode(12).every(Duration.ofMillis(10)));
            ProducerRecord<byte[], byte[]> refused =
                    new ProducerRecord<>("prompt-jobs", "{}".getBytes(StandardCharsets.UTF_8));
            refused.headers().add("job-id", "refused".getBytes(StandardCharsets.UTF_8));
            jobs.send(refused);
            List<String> ids = ids("example", 30);
            ids.forEach(id -> jobs.send(id, "hello"));
            jobs.flush();
            replies.awaitOutcomes(ids, PATIENCE);
            replies.awaitEvent("refused", event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);
        }
    }

    @AfterAll
    static void stop() {
        replies.close();
        broker.close();
    }

    private static List<String> ids(String name, int count) {
        return IntStream.range(0, count).mapToObj(i -> name + "-" + i).toList();
    }

    @Test
    void the_java_consumer_reads_the_same() throws InterruptedException {
        check(java("ReplyConsumer.java"));
    }

    @Test
    void the_python_consumer_reads_the_same() throws InterruptedException {
        check(python("consumer.py").orElseGet(() -> without("Python with confluent-kafka")));
    }

    /** An id that has only a refused record gets no further event: a client that waits for it sees the refusal. */
    private static void check(List<String> program) throws InterruptedException {
        assertThat(run(program, "--until-idle", "5")).isEqualTo(expected());
        assertThat(run(program, "--id", "refused"))
                .containsExactly(
                        "{\"id\":\"refused\",\"outcome\":\"rejected\",\"attempt\":0,\"text\":\"\",\"events\":0}");
    }

    /** A line for each job that has ended. */
    private static List<String> expected() {
        return replies.ids().stream()
                .filter(id -> replies.reading(id).isClosed())
                .map(id -> "{\"id\":\"%s\",\"outcome\":\"%s\",\"attempt\":%d,\"text\":%s,\"events\":%d}"
                        .formatted(
                                id,
                                replies.outcome(id).mark().kind().wireName(),
                                replies.reading(id).attempt(),
                                new String(Json.bytes(chunkText(id)), StandardCharsets.UTF_8),
                                replies.valid(id).size()))
                .sorted()
                .toList();
    }

    private static String chunkText(String id) {
        return RESUMED_TEXTS.getOrDefault(id, replies.chunkText(id));
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

    /**
     * Two members of a group: the second one joins in the middle, and then the first one is killed. Jobs are open over
     * both rebalances, and some end as failed: the next owner has their text only if it reads all of their chunks.
     */
    @Test
    void long_lived_consumers_share_the_jobs_and_take_over_those_of_a_killed_member() throws InterruptedException {
        List<ExampleGroup> groups = new ArrayList<>();
        groups.add(new ExampleGroup("java", java("LongLivedConsumer.java"), broker));
        python("long_lived.py").ifPresent(program -> groups.add(new ExampleGroup("python", program, broker)));
        typescript("long_lived.ts").ifPresent(program -> groups.add(new ExampleGroup("typescript", program, broker)));
        try (MadeEvents made = new MadeEvents()) {
            List<String> real = replies.ids();
            made.begin();

            groups.forEach(ExampleGroup::start);
            for (ExampleGroup group : groups) {
                group.awaitHandled(real);
            }
            groups.forEach(ExampleGroup::start);
            for (ExampleGroup group : groups) {
                group.awaitMembers(2);
            }
            made.goOn();
            for (ExampleGroup group : groups) {
                group.awaitHandled(made.whole);
            }
            groups.forEach(ExampleGroup::killFirst);
            made.end();

            Map<String, Set<JsonNode>> expected = handled(replies.ids());
            for (ExampleGroup group : groups) {
                group.awaitHandled(expected.keySet());
                group.stopLast();
                group.awaitCommitted("prompt-replies");
                assertThat(group.handled()).as("%s", group).isEqualTo(expected);
            }
        } finally {
            groups.forEach(ExampleGroup::close);
        }
        if (groups.size() < 3) {
            var _ = without("Python with confluent-kafka, and Node.js with KafkaJS");
        }
    }

    /** What is printed for each id. */
    private static Map<String, Set<JsonNode>> handled(Collection<String> ids) {
        Map<String, Set<JsonNode>> handled = new HashMap<>();
        for (String id : ids) {
            ObjectNode line = JsonNodeFactory.instance.objectNode().put("id", id);
            if (replies.reading(id).isClosed()) {
                String chunks = chunkText(id);
                line.put("outcome", replies.outcome(id).mark().kind().wireName())
                        .put("attempt", replies.reading(id).attempt())
                        .put("text", chunks.isEmpty() ? replies.completedText(id) : chunks);
            } else {
                JsonNode rejected = replies.all(id).getFirst().json();
                line.put("outcome", "rejected");
                line.set("code", rejected.at("/error/code"));
                line.set("record", rejected.at("/job/record"));
            }
            handled.put(id, Set.of(Objects.requireNonNull(Json.parseLenient(line.toString()))));
        }
        return handled;
    }

    /** Events of a service with failures. */
    private static final class MadeEvents implements AutoCloseable {
        private static final String ERROR = "},\"error\":{\"code\":\"node_error\",\"message\":\"made\"}";

        private final JobSender events =
                new JobSender(broker.bootstrap(), "prompt-replies", Map.of("compression.type", "lz4"));
        private final List<String> open = ids("open", 24);
        private final List<String> resumed = ids("resumed", 12);
        private final List<String> whole = ids("whole", 24);

        void begin() throws InterruptedException {
            for (String id : open) {
                send(id, EventMark.Kind.STARTED, 1, 0, "}");
                send(id, EventMark.Kind.CHUNK, 1, 1, delta("öne "));
            }
            for (String id : resumed) {
                send(id, EventMark.Kind.STARTED, 1, 0, "}");
                send(id, EventMark.Kind.CHUNK, 1, 1, delta("kept "));
                send(id, EventMark.Kind.CHUNK, 1, 2, delta("dropped "));
            }
            events.flush();
        }

        void goOn() throws InterruptedException {
            for (String id : open) {
                send(id, EventMark.Kind.CHUNK, 1, 2, delta("two "));
            }
            for (String id : resumed) {
                send(id, EventMark.Kind.STARTED, 2, 0, ",\"resumed_from\":{\"attempt\":1,\"seq\":1}}");
                send(id, EventMark.Kind.CHUNK, 1, 3, delta("void "));
                send(id, EventMark.Kind.CHUNK, 2, 1, delta("and more"));
            }
            whole.forEach(this::complete);
            events.flush();
        }

        void end() throws InterruptedException {
            for (String id : open) {
                send(id, EventMark.Kind.CHUNK, 1, 3, delta("three"));
                send(id, EventMark.Kind.FAILED, 1, 4, ERROR);
            }
            for (String id : resumed) {
                send(id, EventMark.Kind.COMPLETED, 1, 4, message("void"));
                send(id, EventMark.Kind.FAILED, 2, 2, ERROR);
                RESUMED_TEXTS.put(id, "kept and more");
            }
            whole.forEach(this::complete); // as for a duplicate record
            events.flush();
            replies.awaitOutcomes(
                    Stream.of(open, resumed, whole).flatMap(List::stream).toList(), PATIENCE);
        }

        /** A job without chunks. */
        private void complete(String id) {
            send(id, EventMark.Kind.STARTED, 1, 0, "}");
            send(id, EventMark.Kind.COMPLETED, 1, 1, message("all of it"));
        }

        private static String delta(String text) {
            return "},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]".formatted(text);
        }

        private static String message(String text) {
            return "},\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"}}]"
                    .formatted(text);
        }

        /** @param more further fields of the object {@code job}, its end, and fields beside it */
        private void send(String id, EventMark.Kind kind, int attempt, long seq, String more) {
            EventMark mark = new EventMark(kind, attempt, "run" + attempt, seq);
            byte[] key = EventHeaders.utf8(id);
            byte[] value = EventHeaders.utf8("{\"job\":{\"id\":\"%s\",\"event\":\"%s\",\"seq\":%d,\"attempt\":%d%s}"
                    .formatted(id, kind.wireName(), seq, attempt, more));
            events.send(
                    new ProducerRecord<>("prompt-replies", null, null, key, value, EventHeaders.of(key, mark, null)));
        }

        @Override
        public void close() {
            events.close();
        }
    }

    private static List<String> java(String program) {
        Path libraries =
                TestEnvironment.buildDir().resolve("quarkus-app").resolve("lib").resolve("main");
        return List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                libraries + "/*",
                EXAMPLES.resolve("java").resolve(program).toString());
    }

    /**
     * A virtual environment with the packages of the example, kept in {@code .demo} for the next time; empty where none
     * is available.
     */
    private static Optional<List<String>> python(String program) throws InterruptedException {
        Path home = DEMO.resolve("python");
        Path python = home.resolve("bin").resolve("python");
        String requirements =
                EXAMPLES.resolve("python").resolve("requirements.txt").toString();
        boolean there = succeeds(List.of(python.toString(), "-c", "import confluent_kafka"))
                || (succeeds(List.of("python3", "-m", "venv", home.toString()))
                        && succeeds(List.of(python.toString(), "-m", "pip", "install", "-q", "-r", requirements)));
        return there
                ? Optional.of(List.of(
                        python.toString(),
                        EXAMPLES.resolve("python").resolve(program).toString()))
                : Optional.empty();
    }

    /** A copy with its packages, kept in {@code .demo} for the next time; empty where they are not available. */
    private static Optional<List<String>> typescript(String program) throws InterruptedException {
        Path home = DEMO.resolve("typescript");
        try {
            Files.createDirectories(home);
            for (String file : List.of("package.json", program)) {
                Files.copy(
                        EXAMPLES.resolve("typescript").resolve(file),
                        home.resolve(file),
                        StandardCopyOption.REPLACE_EXISTING);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return succeeds(List.of("npm", "install", "--prefix", home.toString(), "--no-audit", "--no-fund"))
                ? Optional.of(
                        List.of("sh", "-c", "cd \"$0\" && exec node --import tsx \"$@\"", home.toString(), program))
                : Optional.empty();
    }

    private static List<String> without(String what) {
        assertThat(TestEnvironment.requiresAll()).as(what).isFalse();
        return Assumptions.abort("SKIPPED: cannot be had here: " + what);
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
