package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.WireProtocol;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Builds Ollama's lists of models from what the nodes report. The entry of an Ollama node is Ollama's own. For any other
 * node, what is unknown is zero or empty. It has no state.
 */
final class ModelCards {
    private static final String LATEST = ":latest";
    /** Ollama's zero time. */
    private static final String NO_TIME = "0001-01-01T00:00:00Z";

    /** Ollama's command line cuts a digest to its first 12 characters, and fails if there are fewer. */
    private static final String NO_DIGEST = "0".repeat(64);

    private ModelCards() {}

    /**
     * What a node reports of its models.
     *
     * @param models the models that the node serves
     * @param isOllama whether the node's server is Ollama
     * @param entries Ollama's own entries for the list that is built; empty for another server
     */
    record Report(List<WireProtocol.Model> models, boolean isOllama, List<ObjectNode> entries) {
        Report {
            models = List.copyOf(models);
            entries = List.copyOf(entries);
        }
    }

    /** Returns the answer of /api/tags: the models of all nodes and the profiles, each once, by name. */
    static ObjectNode tags(Collection<Report> nodes, Collection<String> profiles) {
        Map<String, ObjectNode> cards = new TreeMap<>();
        for (Report node : nodes) {
            for (WireProtocol.Model model : node.models()) {
                String name = tagged(model.id());
                entry(node, model)
                        .ifPresentOrElse(
                                own -> cards.merge(name, own, ModelCards::better),
                                () -> cards.putIfAbsent(name, described(unknown(name), model)));
            }
        }
        // a profile hides a model of the same name
        profiles.forEach(profile -> cards.put(tagged(profile), unknown(tagged(profile))));
        return list(cards.values());
    }

    /** Returns the answer of /api/ps: the models in memory, each once, by name. */
    static ObjectNode running(Collection<Report> nodes, Instant now) {
        Map<String, ObjectNode> cards = new TreeMap<>();
        for (Report node : nodes) {
            for (WireProtocol.Model model : node.models()) {
                String name = tagged(model.id());
                Optional<ObjectNode> own = entry(node, model);
                if (own.isPresent()) {
                    cards.merge(name, own.get(), ModelCards::better);
                } else if (!node.isOllama() && model.loaded()) {
                    cards.putIfAbsent(name, runningForEver(name, model, now));
                }
            }
        }
        return list(cards.values());
    }

    /** Returns the answer of /api/show for a model of a server that is no Ollama. */
    static ObjectNode shown(WireProtocol.Model model) {
        ObjectNode card = JsonNodeFactory.instance.objectNode();
        card.set("details", details());
        ObjectNode info = card.putObject("model_info").put("general.architecture", "");
        if (model.context() != null) {
            // the key begins with the name of the architecture, which is empty
            info.put(".context_length", model.context());
        }
        described(card, model);
        return card.put("modified_at", NO_TIME);
    }

    /**
     * Returns the name of a model as Ollama lists it, with its tag. Clients add the tag {@code latest} to a name without a
     * tag, and look for this name in the list.
     */
    static String tagged(String name) {
        return name.indexOf(':', name.lastIndexOf('/') + 1) < 0 ? name + LATEST : name;
    }

    /** Returns the profile that a client means: its name, or its name with the tag {@code latest}. */
    static Optional<String> profile(String name, Collection<String> profiles) {
        String bare = name.endsWith(LATEST) ? name.substring(0, name.length() - LATEST.length()) : name;
        return profiles.contains(name) ? Optional.of(name) : Optional.of(bare).filter(profiles::contains);
    }

    private static Optional<ObjectNode> entry(Report node, WireProtocol.Model model) {
        return node.entries().stream()
                .filter(entry -> entry.path("name").asText().equals(model.id()))
                .findFirst();
    }

    /** Returns the entry of an Ollama node, if one of the two is such an entry; the first one if both are. */
    private static ObjectNode better(ObjectNode known, ObjectNode other) {
        return known.path("size").asLong() == 0 ? other : known;
    }

    private static ObjectNode unknown(String name) {
        ObjectNode card = JsonNodeFactory.instance
                .objectNode()
                .put("name", name)
                .put("model", name)
                .put("modified_at", NO_TIME)
                .put("size", 0)
                .put("digest", NO_DIGEST);
        card.set("details", details());
        return card;
    }

    /** Returns an entry of a model that stays in memory, with the time that Ollama has for such a model. */
    private static ObjectNode runningForEver(String name, WireProtocol.Model model, Instant now) {
        ObjectNode card = JsonNodeFactory.instance
                .objectNode()
                .put("name", name)
                .put("model", name)
                .put("size", 0)
                .put("digest", NO_DIGEST);
        card.set("details", details());
        card.put("expires_at", now.plusNanos(Long.MAX_VALUE).toString()).put("size_vram", 0);
        return model.context() == null ? card : card.put("context_length", model.context());
    }

    private static ObjectNode details() {
        ObjectNode details = JsonNodeFactory.instance
                .objectNode()
                .put("parent_model", "")
                .put("format", "")
                .put("family", "");
        details.putArray("families");
        return details.put("parameter_size", "").put("quantization_level", "");
    }

    /** Adds the length of the context and the capabilities, as far as the server reports them. */
    private static ObjectNode described(ObjectNode card, WireProtocol.Model model) {
        if (model.context() != null) {
            card.withObject("/details").put("context_length", model.context());
        }
        ArrayNode capabilities = card.putArray("capabilities");
        boolean all = model.tasks().size() == Task.values().length;
        if (all || model.tasks().contains(Task.CHAT)) {
            capabilities.add("completion");
        }
        // all tasks stand for a server that reports none
        if (!all && model.tasks().contains(Task.DESCRIBE)) {
            capabilities.add("vision");
        }
        if (!all && model.tasks().contains(Task.EMBEDDINGS)) {
            capabilities.add("embedding");
        }
        return card;
    }

    private static ObjectNode list(Collection<ObjectNode> cards) {
        ObjectNode list = JsonNodeFactory.instance.objectNode();
        ArrayNode models = list.putArray("models");
        cards.forEach(models::add);
        return list;
    }
}
