package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Optional;

/**
 * Translates a request of Anthropic's messages API into a chat in OpenAI's form. The chat keeps Anthropic's own fields
 * for a node with Anthropic's API: thinking blocks with their signatures, cache marks, and the error mark of a tool's
 * result.
 */
final class MessagesRequest {
    /** The fields of a request. The last two have no effect. */
    private static final List<String> FIELDS = List.of(
            "model",
            "messages",
            "max_tokens",
            "system",
            "stream",
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "metadata",
            "cache_control",
            "service_tier",
            "context_management");

    /** Anthropic's fields that this version refuses. */
    private static final List<String> UNAVAILABLE =
            List.of("container", "mcp_servers", "inference_geo", "output_format", "speed");

    private static final List<String> EFFORTS = List.of("low", "medium", "high", "xhigh", "max");
    private static final List<String> THINKING = List.of("enabled", "disabled", "adaptive");

    private MessagesRequest() {}

    /** What a request asks for. */
    enum Purpose {
        /** An answer, for which the request must limit the tokens. */
        ANSWER,
        /** The number of the prompt's tokens. */
        COUNT
    }

    /** The result of parsing a request. */
    sealed interface Parsed {
        /** @param chat the request in OpenAI's form, with {@code stream} always set */
        record Valid(ObjectNode chat) implements Parsed {}

        record Refused(JobFailure failure) implements Parsed {}
    }

    /** @param hosts the hosts of the images to which a request may refer by URL */
    static Parsed parse(byte[] document, Purpose purpose, AllowedHosts hosts) {
        try {
            return new Parsed.Valid(chat(Json.parseStrict(document), purpose, hosts));
        } catch (Json.MalformedJson e) {
            return new Parsed.Refused(e.failure());
        } catch (InvalidField e) {
            return new Parsed.Refused(e.failure());
        }
    }

    private static ObjectNode chat(JsonNode root, Purpose purpose, AllowedHosts hosts) throws InvalidField {
        if (!root.isObject()) {
            throw new InvalidField("$", "expected a JSON object, got " + Fields.kind(root));
        }
        for (String name : UNAVAILABLE) {
            if (root.hasNonNull(name)) {
                throw new InvalidField(name, "is not available in this version: leave it out");
            }
        }
        Fields top = new Fields("", root);
        top.onlyKnown(FIELDS);
        ObjectNode chat = Json.mapper().createObjectNode();
        chat.put("model", top.text("model").orElseThrow(() -> new InvalidField("model", "is needed")));
        chat.put("stream", top.flag("stream").orElse(false));
        Optional<Integer> limit = top.positiveInteger("max_tokens");
        if (limit.isPresent()) {
            chat.put("max_tokens", limit.get());
        } else if (purpose == Purpose.ANSWER) {
            throw new InvalidField("max_tokens", "is needed");
        }
        chat.set("messages", new ChatMessages(hosts).of(root.path("system"), root.path("messages")));
        sampling(root, chat);
        ChatTools.into(root, chat);
        thinking(root.path("thinking"), chat);
        output(root.path("output_config"), chat);
        user(root.path("metadata"), chat);
        CacheMark.copy("", root, chat);
        return chat;
    }

    private static void sampling(JsonNode root, ObjectNode chat) throws InvalidField {
        for (String name : List.of("temperature", "top_p")) {
            Fields.checkOptional(root, name, JsonNode::isNumber, "a number");
        }
        Fields.checkOptional(root, "top_k", Fields::isInteger, "an integer");
        for (String name : List.of("temperature", "top_p", "top_k")) {
            if (root.hasNonNull(name)) {
                chat.set(name, root.get(name));
            }
        }
        JsonNode stops = root.path("stop_sequences");
        if (!isAbsent(stops)) {
            if (!stops.isArray()) {
                throw new InvalidField("stop_sequences", "expected an array of strings, got " + Fields.kind(stops));
            }
            for (int i = 0; i < stops.size(); i++) {
                if (!stops.get(i).isTextual()) {
                    throw new InvalidField(
                            "stop_sequences[" + i + "]", "expected a string, got " + Fields.kind(stops.get(i)));
                }
            }
            if (!stops.isEmpty()) {
                chat.set("stop", stops);
            }
        }
    }

    /** Keeps the object as it is: each protocol translates it into its server's own terms. */
    private static void thinking(JsonNode thinking, ObjectNode chat) throws InvalidField {
        if (isAbsent(thinking)) {
            return;
        }
        Fields fields = new Fields("thinking.", object("thinking", thinking));
        String type = fields.text("type").orElse("");
        oneOf("thinking.type", type, THINKING);
        if (type.equals("enabled") && fields.positiveInteger("budget_tokens").isEmpty()) {
            throw new InvalidField("thinking.budget_tokens", "is needed");
        }
        chat.set("thinking", thinking);
    }

    private static void output(JsonNode config, ObjectNode chat) throws InvalidField {
        if (isAbsent(config)) {
            return;
        }
        Fields fields = new Fields("output_config.", object("output_config", config));
        fields.onlyKnown(List.of("effort", "format"));
        Optional<String> effort = fields.text("effort");
        if (effort.isPresent()) {
            oneOf("output_config.effort", effort.get(), EFFORTS);
            chat.put("reasoning_effort", effort.get());
        }
        JsonNode format = config.path("format");
        if (isAbsent(format)) {
            return;
        }
        String path = "output_config.format";
        oneOf(path + ".type", object(path, format).path("type").asText(""), List.of("json_schema"));
        ObjectNode schema = chat.putObject("response_format")
                .put("type", "json_schema")
                .putObject("json_schema")
                .put("name", "answer")
                .put("strict", true);
        schema.set("schema", object(path + ".schema", format.path("schema")));
    }

    private static void user(JsonNode metadata, ObjectNode chat) throws InvalidField {
        if (isAbsent(metadata)) {
            return;
        }
        Optional<String> user = new Fields("metadata.", object("metadata", metadata)).text("user_id");
        user.ifPresent(id -> chat.put("user", id));
    }

    static boolean isAbsent(JsonNode node) {
        return node.isMissingNode() || node.isNull();
    }

    static ObjectNode object(String path, JsonNode node) throws InvalidField {
        if (node instanceof ObjectNode object) {
            return object;
        }
        throw new InvalidField(path, isAbsent(node) ? "is needed" : "expected an object, got " + Fields.kind(node));
    }

    static ArrayNode array(String path, JsonNode node) throws InvalidField {
        if (node instanceof ArrayNode array) {
            return array;
        }
        throw new InvalidField(path, isAbsent(node) ? "is needed" : "expected an array, got " + Fields.kind(node));
    }

    /** @param value the value; empty if the field is absent */
    static void oneOf(String path, String value, List<String> known) throws InvalidField {
        if (!known.contains(value)) {
            throw new InvalidField(
                    path,
                    value.isEmpty()
                            ? "is needed: " + String.join(", ", known)
                            : "'" + shortened(value) + "' is none of " + String.join(", ", known));
        }
    }

    /** Shortens a caller's text for an error message. */
    static String shortened(String text) {
        String line = text.replaceAll("\\p{Cntrl}", "?");
        return line.length() > 64 ? line.substring(0, 64) + "…" : line;
    }
}
