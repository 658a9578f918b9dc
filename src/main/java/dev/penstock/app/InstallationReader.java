package dev.penstock.app;

import dev.penstock.cli.doctor.Installation;
import dev.penstock.intake.setup.TopicShape;
import dev.penstock.node.NodeCheck;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.start.StartCheck;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Describes the configured installation for the package {@code cli}, which may use neither settings nor nodes. */
final class InstallationReader {
    private InstallationReader() {}

    static Installation read(StartCheck.Found found) {
        Settings settings = found.settings();
        Settings.Topics topics = settings.topics();
        List<Installation.Topic> all = new ArrayList<>();
        TopicShape.all(settings)
                .forEach((name, shape) -> all.add(new Installation.Topic(
                        name,
                        name.equals(topics.deferred()) || name.equals(topics.webhooks()) ? shape.partitions() : 1,
                        name.equals(topics.replies()),
                        configs(settings, name, shape))));
        return new Installation(
                found.mistakes(),
                found.ports(),
                found.warnings(),
                found.api(),
                found.managementPort(),
                found.kafka(),
                settings.groups(),
                settings.intake().mode(),
                new Installation.Topics(
                        settings.createTopics(),
                        settings.intake().topics().stream()
                                .map(Settings.JobTopic::name)
                                .toList(),
                        topics.deferred(),
                        topics.settings(),
                        all),
                settings.ledger().kind().wireName(),
                settings.ledger().kind() == Settings.LedgerKind.POSTGRESQL
                        ? found.ledgerUrl()
                        : settings.ledger().sqliteFile().toString(),
                settings.nodes().stream().map(InstallationReader::node).toList());
    }

    /**
     * Returns the configuration that a topic needs. The topics for commands, settings and usage contain neither jobs nor
     * answers, so the broker's default record size is enough for them.
     */
    private static Map<String, String> configs(Settings settings, String name, TopicShape shape) {
        Settings.Topics topics = settings.topics();
        return name.equals(topics.commands()) || name.equals(topics.settings()) || name.equals(topics.usage())
                ? Map.of()
                : shape.configs();
    }

    private static Installation.Node node(NodeSettings node) {
        return new Installation.Node(
                node.name(), node.backend().wireName(), node.url().toString(), () -> health(NodeCheck.of(node)));
    }

    private static Installation.Health health(NodeCheck.Found found) {
        Installation.State state = switch (found.state()) {
            case UP -> Installation.State.UP;
            case LOADING -> Installation.State.LOADING;
            case DRAINING, DOWN -> Installation.State.DOWN;
        };
        return new Installation.Health(state, found.models(), Objects.requireNonNullElse(found.words(), ""));
    }
}
