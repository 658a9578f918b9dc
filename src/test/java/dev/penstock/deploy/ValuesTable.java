package dev.penstock.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;

/** The table of the chart's README: every value of the schema, with its type, its default and its meaning. */
final class ValuesTable {
    private static final String BEGIN = "<!-- generated: make manifests -->\n";
    private static final String END = "<!-- end -->\n";

    private final JsonNode defaults;
    private final List<String> rows = new ArrayList<>();

    private ValuesTable(JsonNode defaults) {
        this.defaults = defaults;
    }

    /** Returns the README with the correct table. */
    static String into(String readme) throws IOException {
        JsonNode schema = Manifest.YAML.readTree(Files.readString(Chart.FOLDER.resolve("values.schema.json")));
        ValuesTable table =
                new ValuesTable(Manifest.YAML.readTree(Files.readString(Chart.FOLDER.resolve("values.yaml"))));
        table.rows.add("| value | type | default | what it is |");
        table.rows.add("|---|---|---|---|");
        table.walk(schema, "");
        int begin = readme.indexOf(BEGIN);
        int end = readme.indexOf(END);
        if (begin < 0 || end < begin) {
            throw new IllegalStateException("the README has no place for the table");
        }
        return readme.substring(0, begin + BEGIN.length())
                + String.join("\n", table.rows)
                + "\n"
                + readme.substring(end);
    }

    private void walk(JsonNode schema, String at) {
        if (explains(schema) || at.isEmpty()) {
            schema.path("properties")
                    .properties()
                    .forEach(property ->
                            walk(property.getValue(), at.isEmpty() ? property.getKey() : at + "." + property.getKey()));
            return;
        }
        row(schema, at);
        if (explains(schema.path("items"))) {
            walk(schema.path("items"), at + "[]");
        } else if (explains(schema.path("additionalProperties"))) {
            walk(schema.path("additionalProperties"), at + ".*");
        }
    }

    /** Returns whether each of its properties has a description, or has such properties itself. */
    private static boolean explains(JsonNode schema) {
        JsonNode properties = schema.path("properties");
        return !properties.isEmpty()
                && properties.properties().stream()
                        .allMatch(property -> property.getValue().has("description") || explains(property.getValue()));
    }

    private void row(JsonNode schema, String at) {
        JsonNode value = defaults.at("/" + at.replace('.', '/'));
        rows.add("| `%s` | %s | %s | %s |"
                .formatted(
                        at,
                        type(schema),
                        value.isMissingNode() ? "" : "`" + value + "`",
                        schema.path("description").asText().replace("|", "\\|")));
    }

    private static String type(JsonNode schema) {
        if (schema.has("enum")) {
            return String.join(
                    ", ",
                    StreamSupport.stream(schema.path("enum").spliterator(), false)
                            .map(value -> value.asText().isEmpty() ? "empty" : value.asText())
                            .toList());
        }
        JsonNode type = schema.path("type");
        String name = type.isArray() ? type.path(0).asText() : type.asText();
        return schema.has("maximum") && schema.has("minimum")
                ? "%s, %s to %s"
                        .formatted(
                                name,
                                schema.path("minimum").asText(),
                                schema.path("maximum").asText())
                : name;
    }
}
