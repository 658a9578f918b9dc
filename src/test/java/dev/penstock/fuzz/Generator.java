package dev.penstock.fuzz;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.stream.Stream;

/** Inputs of each kind. The n-th of a kind follows from the seed alone. */
final class Generator {
    /** Jobs with every allowed field. */
    private static final List<String> JOBS = List.of(
            "{\"prompt\":\"hello\"}",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"temperature\":0.5,\"max_tokens\":16}",
            "{\"messages\":[{\"role\":\"system\",\"content\":\"be short\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"stop\":[\"x\"]}",
            "{\"input\":[\"a\",\"b\"],\"model\":\"tiny\",\"encoding_format\":\"float\"}",
            "{\"images\":[\"data:image/png;base64,iVBORw0KGgo=\"],\"prompt\":\"what is it\"}",
            "{\"prompt\":\"x\",\"model\":\"tiny\",\"metadata\":{\"order\":\"42\",\"tier\":\"gold\"},\"job\":{\"priority\":\"high\",\"timeout\":\"20s\",\"deadline\":\"1m\",\"max_attempts\":1,\"pool\":\"gpu\",\"tenant\":\"default\",\"id\":\"fz-1\"}}");

    private static final List<String> NODES = List.of(
            "{\"name\":\"fuzz-1\",\"backend\":\"vllm\",\"url\":\"http://127.0.0.1:1\",\"max-in-flight\":1}",
            "{\"name\":\"fuzz-2\",\"backend\":\"ollama\",\"url\":\"http://127.0.0.1:1\",\"headers\":{\"x-a\":\"b\"},\"timeouts\":{\"connect\":\"1s\"}}");

    private static final List<String> EVENTS = List.of(
            "{\"job\":{\"id\":\"fz-1\",\"event\":\"started\",\"seq\":0,\"attempt\":1,\"run\":\"r\",\"node\":\"n\",\"backend\":\"vllm\",\"model\":\"tiny\",\"at\":\"2026-11-21T10:00:00Z\",\"record\":{\"topic\":\"prompt-jobs\",\"partition\":0,\"offset\":1}}}",
            "{\"job\":{\"id\":\"fz-1\",\"event\":\"chunk\",\"seq\":1,\"attempt\":1,\"run\":\"r\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}",
            "{\"job\":{\"id\":\"fz-1\",\"event\":\"completed\",\"seq\":2,\"attempt\":1,\"run\":\"r\"},\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}",
            "{\"job\":{\"id\":\"fz-1\",\"event\":\"failed\",\"seq\":2,\"attempt\":1,\"run\":\"r\"},\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":\"timeout\"}}",
            "{\"job\":{\"id\":\"fz-1\",\"event\":\"rejected\",\"seq\":0,\"attempt\":0,\"run\":\"r\",\"record\":{\"topic\":\"prompt-jobs\",\"partition\":0,\"offset\":1}},\"error\":{\"message\":\"m\",\"code\":\"invalid_request\"}}");

    private static final List<String> KINDS_OF_EVENT =
            List.of("started", "chunk", "completed", "failed", "cancelled", "expired", "rejected", "");
    private static final List<String> NUMBERS = List.of(
            "0",
            "1",
            "2",
            "-1",
            "2147483647",
            "2147483648",
            "9223372036854775807",
            "9223372036854775808",
            "x",
            "",
            "１");
    private static final List<String> NAMES = List.of(
            "fz-1",
            "fz-2",
            "sound",
            "vllm",
            "tiny",
            ".",
            "..",
            "%2e%2e",
            "a%00b",
            "%ff%fe",
            "a%2Fb",
            "%0d%0a",
            "a".repeat(300),
            "%E2%80%AE",
            "0-0",
            "0-1",
            "9-99999999999999999999",
            "-1--1",
            "*",
            "a b",
            "fuzz-1",
            "fuzz-2");
    private static final List<String> TYPES = List.of(
            "application/json",
            "application/json",
            "application/json",
            "application/x-ndjson",
            "application/json; charset=utf-8",
            "application/json; charset=garbage",
            "text/plain",
            "garbage",
            "",
            "multipart/form-data; boundary=x",
            "*/*",
            "a/b;c");
    private static final List<String> ACCEPTS = List.of(
            "*/*",
            "*/*",
            "*/*",
            "application/json",
            "application/json",
            "*/*",
            "text/event-stream",
            "text/html",
            "garbage",
            "",
            "application/json;q=2",
            "text/event-stream;q=0");
    private static final List<String> QUERIES = List.of(
            "status",
            "tenant",
            "model",
            "node",
            "code",
            "since",
            "until",
            "metadata.a",
            "metadata.",
            "after",
            "limit",
            "force",
            "pool",
            "unknown",
            "%00",
            "reason",
            "topic");

    private final long seed;
    private final List<Published.Operation> operations;
    /** By the server that sent them. */
    private final Map<String, List<byte[]>> recordings;

    Generator(long seed, List<Published.Operation> operations, Path project) {
        this.seed = seed;
        this.operations = operations;
        recordings = recordings(project.resolve("src/test/resources/recordings"));
    }

    private static Map<String, List<byte[]>> recordings(Path folder) {
        Map<String, List<byte[]>> recordings = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
                String server = String.valueOf(folder.relativize(file).getName(0));
                recordings.computeIfAbsent(server, _ -> new ArrayList<>()).add(Files.readAllBytes(file));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return recordings;
    }

    private Mutations at(Class<? extends Input> kind, long number) {
        return new Mutations(
                new SplittableRandom(seed ^ (kind.getSimpleName().hashCode() * 0x9E3779B97F4A7C15L) ^ (number << 20)));
    }

    /** @param server whose recorded answers are changed */
    Input.Said said(long number, String server) {
        Mutations random = at(Input.Said.class, number);
        byte[] sound = random.any(recordings.getOrDefault(server, List.of(new byte[0])));
        return new Input.Said(random.chance(10) ? sound : random.bytes(sound));
    }

    Input.TopicRecord record(long number) {
        Mutations random = at(Input.TopicRecord.class, number);
        String topic = random.any(List.of(
                "prompt-jobs",
                "prompt-jobs",
                "prompt-jobs-high",
                "prompt-jobs-low",
                "prompt-replies",
                "prompt-replies",
                "prompt-commands",
                "prompt-jobs-deferred"));
        String sound = switch (topic) {
            case "prompt-replies" -> random.any(EVENTS);
            case "prompt-commands" -> "{\"command\":\"cancel\",\"id\":\"fz-1\"}";
            default -> random.any(JOBS);
        };
        List<Input.Header> headers = new ArrayList<>();
        if (topic.equals("prompt-replies")) {
            headers.add(header(random, "event", KINDS_OF_EVENT));
            headers.add(header(random, "attempt", NUMBERS));
            headers.add(header(random, "seq", NUMBERS));
            headers.add(header(random, "run", List.of("r", "", "\0", "x".repeat(5_000))));
        }
        if (topic.equals("prompt-jobs-deferred")) {
            headers.add(header(
                    random,
                    "penstock-origin",
                    List.of("prompt-jobs/0/1", "prompt-jobs/-1/x", "", "a/b/c/d", "x/999999999/999999999999999999")));
            headers.add(header(random, "penstock-handed-back", NUMBERS));
            // due at once: a record that is not due keeps its partition waiting
            headers.add(header(random, "penstock-not-before", List.of("0", "-1", "x", "", "9223372036854775808")));
            headers.add(header(random, "penstock-waits-for", List.of("node_down", "", "\0")));
        }
        if (random.chance(50)) {
            headers.add(
                    header(random, "job-id", List.of("fz-1", "fz-" + number, "", "not an id", "\0", "x".repeat(200))));
        }
        if (random.chance(20)) {
            headers.add(header(
                    random,
                    "traceparent",
                    List.of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x", "")));
        }
        byte[] key = random.chance(30) ? null : ("fz-" + random.random().nextInt(50)).getBytes(StandardCharsets.UTF_8);
        byte[] value = random.chance(3)
                ? null
                : random.document(sound.replace("fz-1", "fz-" + random.random().nextInt(1_000)));
        return new Input.TopicRecord(topic, key, headers, value);
    }

    private static Input.Header header(Mutations random, String name, List<String> values) {
        byte[] value = random.any(values).getBytes(StandardCharsets.UTF_8);
        return new Input.Header(name, random.chance(5) ? null : random.chance(10) ? random.bytes(value) : value);
    }

    Input.Call call(long number) {
        Mutations random = at(Input.Call.class, number);
        Published.Operation operation = random.any(operations);
        String path = operation.path();
        while (path.contains("{")) {
            // the valid nodes must stay
            String name = operation.method().equals("DELETE")
                    ? random.any(List.of("fuzz-1", "fz-1", "..", "0-0"))
                    : random.any(NAMES);
            path = path.replaceFirst("\\{[^}]*}", Matcher.quoteReplacement(name));
        }
        StringBuilder head = new StringBuilder(operation.method()).append(' ').append(path.replace(" ", "%20"));
        char separator = '?';
        for (int i = random.random().nextInt(3); i > 0; i--) {
            head.append(separator)
                    .append(random.any(QUERIES))
                    .append('=')
                    .append(random.any(NAMES).replace(" ", "+"));
            separator = '&';
        }
        head.append(" HTTP/1.1\r\nHost: ")
                .append(random.chance(95) ? "127.0.0.1" : random.any(NAMES))
                .append("\r\nConnection: close\r\n");
        boolean bodied = operation.method().equals("POST");
        if (bodied || random.chance(10)) {
            head.append("Content-Type: ").append(random.any(TYPES)).append("\r\n");
        }
        head.append("Accept: ").append(random.any(ACCEPTS)).append("\r\n");
        if (random.chance(15)) {
            head.append("Idempotency-Key: ").append(random.any(NAMES)).append("\r\n");
        }
        if (random.chance(15)) {
            head.append("Prefer: ")
                    .append(random.any(List.of(
                            "wait=0", "wait=1", "wait=-1", "wait=99999999999", "wait=x", "respond-async, wait=1", "")))
                    .append("\r\n");
        }
        if (random.chance(10)) {
            head.append("Last-Event-ID: ").append(random.any(NAMES)).append("\r\n");
        }
        byte[] body = bodied || random.chance(5) ? body(random, operation.path()) : new byte[0];
        if (body.length > 0 || bodied) {
            head.append("Content-Length: ").append(body.length).append("\r\n");
        }
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        request.writeBytes(head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
        request.writeBytes(body);
        return new Input.Call(random.chance(8) ? random.bytes(request.toByteArray()) : request.toByteArray());
    }

    private static byte[] body(Mutations random, String path) {
        if (path.equals("/v1/nodes")) {
            return random.document(random.any(NODES));
        }
        if (path.contains("/models")) {
            return random.document("{\"model\":\"tiny\"}");
        }
        ByteArrayOutputStream lines = new ByteArrayOutputStream();
        for (int i = random.chance(80) ? 0 : random.random().nextInt(20); i >= 0; i--) {
            lines.writeBytes(random.document(random.any(JOBS)));
            if (i > 0) {
                lines.write('\n');
            }
        }
        return lines.toByteArray();
    }
}
