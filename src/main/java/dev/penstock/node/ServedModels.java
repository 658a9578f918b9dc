package dev.penstock.node;

import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.ModelName;
import java.util.List;

/** Decides which of the models that a server lists its node serves. */
final class ServedModels {
    private ServedModels() {}

    /** Returns all listed models; for a node with a configured model, that one only. */
    static List<WireProtocol.Model> of(NodeSettings settings, List<WireProtocol.Model> listed) {
        String only = settings.model();
        if (only == null) {
            return listed;
        }
        // a server that lists its models without this one would run another under its name
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
