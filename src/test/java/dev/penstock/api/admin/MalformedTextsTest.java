package dev.penstock.api.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.AddedNode;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.CommandDocument;
import dev.penstock.wire.document.JobDocument;
import java.io.IOException;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TimeoutException;
import org.junit.jupiter.api.Test;

/** The messages about malformed documents: plain words, with the place, and without internals of the program. */
class MalformedTextsTest {
    private static final Pattern INSIDE = Pattern.compile(
            "(?i)(?-i:[a-z]\\.[A-Z]\\w+\\.)|java\\.|jackson|exception|start marker|unrecognized token|reference chain"
                    + "|StreamRead|Feature|JsonToken|was expecting|\\bcode \\d|SRCFG|converted|deserial|\\$[A-Z]|[\\n\\r]");
    private static final String JOB = """
            {"model":"fast","messages":[{"role":"user","content":[{"type":"text","text":"H\\u00e9"}]}],"temperature":-0.2e1,
             "max_tokens":256,"stop":["a"],"stream":true,"metadata":{"order":"42"},"job":{"id":"a","priority":"high","timeout":"PT5M"}}""";
    private static final String NODE = """
            {"backend":"vllm","url":"http://a:1","max-in-flight":4,"weight":1,"timeouts":{"idle":"5s"},"pull":"never","headers":{"x":"y"}}""";
    private static final List<String> PIECES = List.of(
            "{",
            "}",
            "[",
            "]",
            "\"",
            ":",
            ",",
            "nul",
            "NaN",
            "Infinity",
            "tru",
            "01",
            "1.",
            "-",
            "+1",
            ".5",
            "1e",
            "\\x",
            "\\u12",
            "\t",
            "\n",
            "\u0000",
            "//c",
            "/*c*/",
            "'",
            "#",
            "\u00e9",
            "\"a\":1,\"a\":2",
            "null",
            "true",
            "\"\"",
            "[[",
            "{}",
            "9".repeat(1500));
    private static final Settings.JobTopic TOPIC = new Settings.JobTopic("prompt-jobs", Priority.NORMAL, "default", 1);

    @Test
    void hundreds_of_malformed_documents_are_refused_in_plain_words() {
        List<String> texts = new ArrayList<>();
        Random random = new Random(26);
        for (int i = 0; i < 800; i++) {
            byte[] job = broken(JOB, random);
            byte[] node = broken(NODE, random);
            JobDocument.Arrival arrival = new JobDocument.Arrival(null, new JobId("derived"), Instant.EPOCH);
            if (JobDocument.parse(job, arrival, TestSettings.defaults().defaults(TOPIC))
                    instanceof JobDocument.Parsed.Refused refused) {
                texts.add(refused.failure().message());
            }
            try {
                ObjectNode document = Bodies.object(node);
                if (AddedNode.read("a", document, AddedNode.Keys.NONE) instanceof AddedNode.Unfit unfit) {
                    texts.addAll(unfit.mistakes());
                }
            } catch (ApiException e) {
                texts.add(e.failure().message());
            }
            Optional<JobId> _ = CommandDocument.cancelled(job);
        }

        assertThat(texts).hasSizeGreaterThan(900);
        assertThat(texts.stream().distinct()).hasSizeGreaterThan(100);
        assertThat(texts)
                .allSatisfy(text -> assertThat(text)
                        .doesNotContainPattern(INSIDE)
                        .doesNotContainPattern("(?:^|: )([\\w.]+): \\1: "));
        assertThat(texts)
                .filteredOn(text -> text.startsWith("not valid JSON") && !text.endsWith("is too long"))
                .hasSizeGreaterThan(500)
                .allSatisfy(text -> assertThat(text).containsPattern("\\(line \\d+, column \\d+\\)$"));
        assertThat(texts.stream()
                        .filter(text -> text.contains("it is malformed here"))
                        .distinct())
                .as("mistakes without words of their own")
                .isEmpty();
    }

    @Test
    void a_failure_is_told_without_the_names_of_classes() {
        Exception timeout = new TimeoutException("Timed out waiting for a node");

        assertThat(Reason.of(new ExecutionException(timeout))).isEqualTo("Timed out waiting for a node");
        assertThat(Reason.of(new CompletionException(new KafkaException(timeout))))
                .isEqualTo("Timed out waiting for a node");
        assertThat(Reason.of(new KafkaException("Failed to load", new IOException("no such file"))))
                .isEqualTo("Failed to load");
        assertThat(Reason.of(new UnknownHostException())).isEqualTo("unknown host");
        assertThat(Reason.of(new IOException("file tinyllama.Q4_K_M.gguf at model.example.org")))
                .isEqualTo("file tinyllama.Q4_K_M.gguf at model.example.org");
        assertThat(Reason.of(
                        new ClassCastException("class java.lang.String cannot be cast to class java.lang.Integer")))
                .doesNotContain("java.");
        assertThat(Reason.of(null)).isEqualTo("no reason was given");
    }

    /** Cuts, inserts or removes bytes. */
    private static byte[] broken(String whole, Random random) {
        int at = random.nextInt(whole.length());
        String piece = PIECES.get(random.nextInt(PIECES.size()));
        int end = Math.min(whole.length(), at + random.nextInt(4));
        String broken = switch (random.nextInt(4)) {
            case 0 -> whole.substring(0, at);
            case 1 -> whole.substring(0, at) + piece + whole.substring(at);
            case 2 -> whole.substring(0, at) + whole.substring(end);
            default -> whole.substring(0, at) + piece + whole.substring(end);
        };
        return broken.getBytes(StandardCharsets.UTF_8);
    }
}
