package dev.penstock.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.wire.Yaml;
import io.micrometer.core.instrument.config.MeterFilter;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The published description of the REST API. It combines {@code docs/wire/openapi.yaml} and the JSON Schemas that this
 * file refers to. {@code /q/openapi} serves it as YAML, or as JSON if the call has {@code ?format=json} or {@code
 * Accept: application/json}. Swagger UI shows it. It is read from the program's resources at the first use.
 */
@Singleton
public final class OpenApiDocument {
    private static final String PATH = "/q/openapi";
    private static final int EARLY = -500;
    private static final String SUFFIX = ".schema.json";

    private volatile @Nullable ObjectNode document;

    /**
     * Adds the route after the filters and before Quarkus's own route for this path. Quarkus's route describes only the
     * Java signatures.
     */
    void route(@Observes Router router, AnswerBudget answers) {
        router.get(PATH).order(EARLY).handler(call -> serve(call, answers));
    }

    private void serve(RoutingContext call, AnswerBudget answers) {
        String format = call.request().getParam("format");
        String accept = String.valueOf(call.request().getHeader(HttpHeaders.ACCEPT));
        boolean asJson = format == null
                ? accept.contains("application/json") && !accept.contains("yaml")
                : format.equalsIgnoreCase("json");
        call.response()
                .putHeader(HttpHeaders.CONTENT_TYPE, asJson ? "application/json" : "application/yaml;charset=UTF-8");
        answers.send(call, Buffer.buffer(asJson ? document().toString() : Yaml.text(document())));
    }

    /** Returns the whole description. It contains everything that it refers to. */
    public ObjectNode document() {
        ObjectNode known = document;
        if (known == null) {
            known = bundle();
            document = known;
        }
        return known;
    }

    /** Returns the path templates of all operations. */
    List<String> paths() {
        List<String> paths = new ArrayList<>();
        document().path("paths").fieldNames().forEachRemaining(paths::add);
        return paths;
    }

    @Produces
    @Singleton
    MeterFilter labels() {
        return new HttpLabels(paths());
    }

    /**
     * Returns the query parameters of each operation. The keys of the map have the form {@code METHOD /path/template}.
     * In a parameter such as {@code metadata.KEY}, {@code KEY} stands for any key.
     */
    public Map<String, List<String>> queryParameters() {
        Map<String, List<String>> operations = new LinkedHashMap<>();
        JsonNode shared = document().path("components").path("parameters");
        for (Map.Entry<String, JsonNode> path : document().path("paths").properties()) {
            for (Map.Entry<String, JsonNode> method : path.getValue().properties()) {
                if (!method.getValue().has("responses")) {
                    continue;
                }
                List<String> names = new ArrayList<>();
                for (JsonNode parameters : List.of(
                        path.getValue().path("parameters"), method.getValue().path("parameters"))) {
                    for (JsonNode parameter : parameters) {
                        String reference = parameter.path("$ref").asText("");
                        JsonNode meant = reference.isEmpty()
                                ? parameter
                                : shared.path(reference.substring(reference.lastIndexOf('/') + 1));
                        if (meant.path("in").asText().equals("query")) {
                            names.add(meant.path("name").asText());
                        }
                    }
                }
                operations.put(method.getKey().toUpperCase(Locale.ROOT) + " " + path.getKey(), List.copyOf(names));
            }
        }
        return operations;
    }

    private ObjectNode bundle() {
        ObjectNode root = (ObjectNode) read("openapi.yaml");
        ObjectNode schemas = (ObjectNode) root.path("components").path("schemas");
        for (String file : List.of("job", "job-object", "node-object", "error", "event")) {
            ObjectNode schema = (ObjectNode) read(file + SUFFIX);
            schema.remove("$schema");
            schemas.set(component(file), pointing(schema, component(file)));
        }
        pointing(root, "");
        return root;
    }

    private static JsonNode read(String file) {
        try (InputStream resource = OpenApiDocument.class.getResourceAsStream("/wire/" + file)) {
            if (resource == null) {
                throw new IllegalStateException("the program lacks its resource wire/" + file);
            }
            // a YAML reader reads JSON too
            return Yaml.read(resource);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Turns references to files into references to components.
     *
     * @param home the component that contains the node; empty for the OpenAPI document itself
     */
    private static JsonNode pointing(JsonNode node, String home) {
        if (node instanceof ObjectNode object && object.get("$ref") instanceof TextNode reference) {
            object.put("$ref", target(reference.textValue(), home));
        }
        for (JsonNode child : node) {
            pointing(child, home);
        }
        return node;
    }

    private static String target(String reference, String home) {
        int hash = reference.indexOf('#');
        String file = hash < 0 ? reference : reference.substring(0, hash);
        String inside = hash < 0 ? "" : reference.substring(hash + 1);
        if (reference.startsWith("#/components/") || (file.isEmpty() && home.isEmpty())) {
            return reference;
        }
        String component =
                file.isEmpty() ? home : component(file.replace("./", "").replace(SUFFIX, ""));
        return "#/components/schemas/" + component + inside;
    }

    /** Returns the component name for a file name: {@code JobObject} for {@code job-object}. */
    private static String component(String file) {
        StringBuilder name = new StringBuilder();
        for (String word : file.split("-", -1)) {
            name.append(word.substring(0, 1).toUpperCase(Locale.ROOT)).append(word.substring(1));
        }
        return name.toString();
    }
}
