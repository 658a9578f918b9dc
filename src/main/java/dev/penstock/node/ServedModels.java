package dev.penstock.node;

import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.ModelName;
import java.util.List;
import java.util.Set;

/** Decides which models of a server's list the node serves. */
final class ServedModels {
    private ServedModels() {}

    /** Returns the same models; those with these names are in memory, and the others are not. */
    static List<WireProtocol.Model> loaded(List<WireProtocol.Model> models, Set<String> names) {
        return models.stream()
                .map(model -> model.withLoaded(names.contains(model.id())))
                .toList();
    }

    /** Returns all listed models; only the configured model if the node has one. */
    static List<WireProtocol.Model> of(NodeSettings settings, List<WireProtocol.Model> listed) {
        String only = settings.model();
        if (only == null) {
            return listed;
        }
        // do not assume the model if the server lists models without it: such a server would run another model under
        // this name
        if (!settings.fetchesMissing()
                && (listed.isEmpty() || !settings.backend().listsModels())) {
            return List.of(new WireProtocol.Model(only, false, null));
        }
        return listed.stream()
                .filter(model -> model.id().equals(only))
                .findFirst()
                .or(() -> listed.stream()
                        .filter(model -> ModelName.same(model.id(), only))
                        .findFirst())
                .map(List::of)
                .orElse(List.of());
    }
}
