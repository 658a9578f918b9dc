package dev.penstock.fuzz;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.jspecify.annotations.Nullable;

/** One generated input, whole, so that a file can keep it for another run. */
@SuppressWarnings("ArrayRecordComponent") // none of them is compared
sealed interface Input {
    /** Returns the folder of its kind. */
    default String kind() {
        return switch (this) {
            case Call _ -> "call";
            case Said _ -> "said";
            case TopicRecord _ -> "record";
        };
    }

    byte[] toFile();

    /** A REST request, from its first line to the end of its body. */
    record Call(byte[] request) implements Input {
        @Override
        public byte[] toFile() {
            return request;
        }
    }

    /** The answer of a model server, from its status line on. */
    record Said(byte[] response) implements Input {
        @Override
        public byte[] toFile() {
            return response;
        }
    }

    record Header(String name, byte @Nullable [] value) {}

    /** A record of a topic. */
    record TopicRecord(String topic, byte @Nullable [] key, List<Header> headers, byte @Nullable [] value)
            implements Input {
        Headers kafkaHeaders() {
            RecordHeaders all = new RecordHeaders();
            headers.forEach(header -> all.add(header.name(), header.value()));
            return all;
        }

        @Override
        public byte[] toFile() {
            ObjectNode file = Json.mapper().createObjectNode().put("topic", topic);
            put(file, "key", key);
            put(file, "value", value);
            var list = file.putArray("headers");
            headers.forEach(header -> put(list.addObject().put("name", header.name()), "value", header.value()));
            return Json.bytes(file);
        }

        static TopicRecord ofFile(byte[] file) {
            JsonNode root =
                    Objects.requireNonNull(Json.parseLenient(new String(file, StandardCharsets.UTF_8)), "no record");
            List<Header> headers = new ArrayList<>();
            root.path("headers")
                    .forEach(
                            header -> headers.add(new Header(header.path("name").asText(), get(header, "value"))));
            return new TopicRecord(root.path("topic").asText(), get(root, "key"), headers, get(root, "value"));
        }

        private static void put(ObjectNode node, String name, byte @Nullable [] bytes) {
            node.put(name, bytes == null ? null : Base64.getEncoder().encodeToString(bytes));
        }

        private static byte @Nullable [] get(JsonNode node, String name) {
            return node.hasNonNull(name)
                    ? Base64.getDecoder().decode(node.path(name).asText())
                    : null;
        }
    }

    /** Returns the folder of failing inputs; {@code make test} runs them again. */
    static Path folder(Path project) {
        return project.resolve("src/test/resources/fuzz");
    }

    /** Returns the kept inputs of one kind. */
    static List<Path> kept(Path project, String kind) {
        try (Stream<Path> files = Files.walk(folder(project).resolve(kind))) {
            return files.filter(Files::isRegularFile).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @param name the name of the file, without its ending */
    default Path save(Path project, String name) {
        try {
            Path file = Files.createDirectories(folder(project).resolve(kind())).resolve(name + ".input");
            return Files.write(file, toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
