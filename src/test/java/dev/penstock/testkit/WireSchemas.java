package dev.penstock.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SpecVersion;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

/** The published documents in {@code docs/wire}. */
public final class WireSchemas {
    private static final Set<String> METHODS = Set.of("get", "post", "put", "patch", "delete");
    private final Path folder = TestEnvironment.projectDir().resolve("docs").resolve("wire");
    private final JsonSchemaFactory factory = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);
    private final Map<String, JsonSchema> schemas = new ConcurrentHashMap<>();

    /** Fails if a document does not match a schema. */
    public void check(String schema, String document) {
        JsonSchema loaded = schemas.computeIfAbsent(
                schema,
                name -> factory.getSchema(
                        SchemaLocation.of(folder.resolve(name).toUri().toString())));
        assertThat(loaded.validate(parse(document))).as(document).isEmpty();
    }

    public JsonNode parse(String document) {
        return Objects.requireNonNull(Json.parseLenient(document), document);
    }

    /** Returns the operations on the service's own port, as {@code METHOD path}. */
    public Set<String> publishedOperations() {
        try {
            return operations(new ObjectMapper(new YAMLFactory())
                    .readTree(folder.resolve("openapi.yaml").toFile()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the operations of an OpenAPI document, without the management port's. */
    public static Set<String> operations(JsonNode openapi) {
        Set<String> operations = new TreeSet<>();
        for (Map.Entry<String, JsonNode> path : openapi.path("paths").properties()) {
            if (!path.getKey().startsWith("/q/")) {
                path.getValue().fieldNames().forEachRemaining(method -> {
                    if (METHODS.contains(method)) {
                        operations.add(method.toUpperCase(Locale.ROOT) + " " + path.getKey());
                    }
                });
            }
        }
        return operations;
    }
}
