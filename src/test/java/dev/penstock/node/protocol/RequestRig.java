package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.Json;
import java.net.URI;
import java.util.Map;
import java.util.Objects;

/** Asks a protocol for a request, and reads the JSON in it. */
final class RequestRig {
    static final String PNG = "iVBORw0KGgoAAAANSUhEUg==";

    private RequestRig() {}

    static WireProtocol.Request request(Backend backend, Task task, String body) throws WireProtocol.Unsupported {
        return protocol(backend).request(Prompt.of(task, "m", map(body), Map.of(), Map.of(), 0));
    }

    static WireProtocol protocol(Backend backend) {
        return WireProtocol.of(NodeSettings.at(backend, URI.create("http://localhost")));
    }

    static JsonNode body(WireProtocol.Request request) {
        return json(request.bodies().getFirst().toString());
    }

    static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text), text);
    }

    static Map<String, Object> map(String text) {
        return Json.mapper().convertValue(json(text), new com.fasterxml.jackson.core.type.TypeReference<>() {});
    }
}
