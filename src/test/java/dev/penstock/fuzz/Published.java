package dev.penstock.fuzz;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/** The calls of the published document, with their allowed answers. */
record Published(List<Published.Operation> operations) {
    private static final Set<String> METHODS = Set.of("get", "post", "delete", "put", "patch");
    /**
     * The statuses that any request may have: it is malformed, has no resource or is too large, or its Host or Origin belongs to
     * another site. The service checks Host and Origin before the path.
     */
    private static final Set<Integer> OF_ANY = Set.of(400, 403, 404, 405, 406, 408, 413, 414, 415, 417, 431, 501, 505);

    /** @param path with its parameters in braces */
    record Operation(String method, String path, Pattern paths, Set<Integer> statuses) {}

    static Published of(Path project) {
        try {
            JsonNode document = new ObjectMapper(new YAMLFactory())
                    .readTree(project.resolve("docs/wire/openapi.yaml").toFile());
            List<Operation> operations = new ArrayList<>();
            document.path("paths").properties().forEach(path -> {
                if (path.getKey().startsWith("/v1/")) {
                    path.getValue().properties().forEach(method -> {
                        if (METHODS.contains(method.getKey())) {
                            operations.add(operation(method.getKey(), path.getKey(), method.getValue()));
                        }
                    });
                }
            });
            return new Published(operations);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Operation operation(String method, String path, JsonNode described) {
        Set<Integer> statuses = new TreeSet<>();
        described.path("responses").fieldNames().forEachRemaining(status -> statuses.add(Integer.parseInt(status)));
        Pattern paths = Pattern.compile(path.replaceAll("\\{[^}]*}", "[^/?]+"));
        return new Operation(method.toUpperCase(Locale.ROOT), path, paths, statuses);
    }

    /** Returns whether this request may have this status. */
    boolean allows(byte[] request, int status) {
        String line = new String(request, StandardCharsets.ISO_8859_1)
                .lines()
                .findFirst()
                .orElse("");
        String[] words = line.split(" ", -1);
        if (OF_ANY.contains(status)) {
            return (status != 501 && status != 505) || !line.endsWith(" HTTP/1.1") || words.length != 3;
        }
        String path = words.length > 1 ? words[1].replaceFirst("[?#].*", "") : "";
        return operations.stream()
                .anyMatch(operation -> operation.method().equals(words[0])
                        && operation.paths().matcher(path).matches()
                        && operation.statuses().contains(status));
    }
}
