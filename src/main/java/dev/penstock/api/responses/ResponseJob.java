package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The job that runs a response that is kept. It is a chat with the additional field {@code job.response}, which has the
 * fields of the request that a chat does not have. So the ledger knows the whole request of the response.
 *
 * @param asked the request without its input
 * @param messages the messages of the conversation, without the instructions
 */
record ResponseJob(ObjectNode asked, List<ObjectNode> messages) {
    private static final String FIELD = "response";
    private static final String INSTRUCTIONS = "instructions";
    /** Fields of the request that the chat has too. */
    private static final Set<String> IN_CHAT = Set.of("metadata", "stream", "tools");

    ResponseJob {
        asked = asked.deepCopy();
        messages = messages.stream().map(ObjectNode::deepCopy).toList();
    }

    /**
     * Writes the document of a job.
     *
     * @param before the messages of the conversation before this request
     * @param routing further members of {@code job}
     */
    static byte[] document(ResponsesRequest request, List<ObjectNode> before, Map<String, String> routing) {
        ObjectNode body = request.chat(before);
        // the chunks make it possible to stream the response at any time
        body.put("stream", true);
        ObjectNode job = body.withObjectProperty("job");
        routing.forEach(job::put);
        ObjectNode rest = asked(request).without(IN_CHAT);
        if (rest.has(INSTRUCTIONS)) {
            rest.put(INSTRUCTIONS, true);
        }
        job.set(FIELD, rest);
        return Json.bytes(body);
    }

    /** Returns the request of a response that is kept. */
    static ObjectNode asked(ResponsesRequest request) {
        return request.asked().deepCopy().put("store", true).put("background", request.background());
    }

    /** Reads the document of a job; empty if the job runs no response. */
    static Optional<ResponseJob> read(String document) {
        JsonNode body = Json.parseLenient(document);
        if (body == null || !(body.path("job").get(FIELD) instanceof ObjectNode rest)) {
            return Optional.empty();
        }
        ObjectNode asked = rest.deepCopy();
        List<ObjectNode> messages = new ArrayList<>();
        for (JsonNode message : body.path("messages")) {
            if (message instanceof ObjectNode object) {
                messages.add(object);
            }
        }
        if (asked.path(INSTRUCTIONS).asBoolean() && !messages.isEmpty()) {
            asked.set(INSTRUCTIONS, messages.removeFirst().path("content"));
        }
        if (body.has("metadata")) {
            asked.set("metadata", body.get("metadata"));
        }
        if (body.has("tools")) {
            ArrayNode tools = asked.putArray("tools");
            body.path("tools").forEach(tool -> tools.add(flat(tool)));
        }
        return Optional.of(new ResponseJob(asked, messages));
    }

    /** Returns a chat's tool in the form that a response has. */
    private static ObjectNode flat(JsonNode tool) {
        ObjectNode flat = Json.mapper().createObjectNode();
        flat.set("type", tool.get("type"));
        tool.path("function").properties().forEach(field -> flat.set(field.getKey(), field.getValue()));
        return flat;
    }

    /**
     * Returns the conversation after the answer.
     *
     * @param outcome the chat completion
     */
    List<ObjectNode> conversation(JsonNode outcome) {
        List<ObjectNode> all = new ArrayList<>(messages);
        JsonNode message = outcome.path("choices").path(0).path("message");
        ObjectNode answer = Json.mapper().createObjectNode().put("role", "assistant");
        for (String name : List.of("content", "refusal", "tool_calls", "thinking_blocks")) {
            if (message.has(name)) {
                answer.set(name, message.get(name));
            }
        }
        all.add(answer);
        return List.copyOf(all);
    }
}
