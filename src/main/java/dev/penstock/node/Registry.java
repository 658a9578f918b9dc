package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Secrets;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.AddedNode;
import dev.penstock.settings.topic.SettingsFeed;
import dev.penstock.settings.topic.SettingsLog;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.Pauses;
import dev.penstock.wire.record.SettingsVersion;
import jakarta.inject.Singleton;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;

/**
 * Adds and removes nodes at run time, and pauses topics, pools and nodes. It writes the changes to the settings log, from
 * which every replica reads them.
 */
@Singleton
public class Registry {
    private static final Logger LOG = Logger.getLogger(Registry.class);
    private static final Duration FIRST_PROBE = Duration.ofSeconds(4);

    private final Nodes nodes;
    private final SettingsFeed feed;
    private final Settings settings;
    private final SettingsLog log;
    private final Clock clock;

    public Registry(Nodes nodes, SettingsFeed feed, SettingsLog log, Settings settings, Clock clock) {
        this.nodes = nodes;
        this.feed = feed;
        this.settings = settings;
        this.log = log;
        this.clock = clock;
    }

    /** The result of a change. */
    public sealed interface Change {
        /** The broker has the change, and this replica uses it. */
        record Made(Node node) implements Change {}

        record Refused(JobFailure failure) implements Change {}
    }

    /** The result of a pause or of its end. */
    public sealed interface PauseChange {
        /** It is paused, at every replica within a second. */
        record Paused(Pauses.Pause pause) implements PauseChange {}

        /** It is not paused. */
        record Resumed() implements PauseChange {}

        record Refused(JobFailure failure) implements PauseChange {}
    }

    /** Subscribes to the settings. This runs before they are read for the first time. */
    public void start() {
        feed.onChange(this::apply);
    }

    private void apply(SettingsVersion version) {
        Map<String, NodeSettings> added = new HashMap<>();
        version.nodes().forEach((name, document) -> {
            switch (AddedNode.read(name, document, keys(version))) {
                case AddedNode.Fit(NodeSettings node, List<String> lacking) -> {
                    lacking.forEach(what -> LOG.warnf("node=%s %s", name, what));
                    added.put(node.name(), node);
                }
                case AddedNode.Unfit(List<String> mistakes) ->
                    LOG.errorf("node=%s was added at run time; this version refuses it: %s", name, oneLine(mistakes));
            }
        });
        nodes.added(added);
        nodes.pause(version.pauses());
    }

    private AddedNode.Keys keys(SettingsVersion version) {
        return new AddedNode.Keys(settings.access().secrets(), System.getenv(), version.secrets());
    }

    /**
     * Adds a node.
     *
     * @param document the node's keys, as in the configuration
     * @param force whether to add the node even if its server does not answer
     */
    public Change add(String name, JsonNode document, boolean force) throws InterruptedException {
        Optional<JobFailure> obstacle = obstacle();
        if (obstacle.isPresent()) {
            return new Change.Refused(obstacle.get());
        }
        NodeSettings node;
        switch (AddedNode.read(name, document, keys(feed.version()))) {
            case AddedNode.Unfit(List<String> mistakes) -> {
                return refused(JobFailure.Code.INVALID_REQUEST, oneLine(mistakes));
            }
            case AddedNode.Fit(NodeSettings read, List<String> lacking) -> {
                if (!lacking.isEmpty()) {
                    return refused(JobFailure.Code.INVALID_REQUEST, oneLine(lacking));
                }
                node = read;
            }
        }
        Node there = nodes.find(name).orElse(null);
        if (there != null) {
            return taken(name, " (" + there.settings() + ")");
        }
        if (!force && nodes.tryOut(node) instanceof ProbeResult.Away(String words, boolean _, boolean unauthorized)) {
            return refused(
                    unauthorized ? JobFailure.Code.NODE_UNAUTHORIZED : JobFailure.Code.NODE_UNREACHABLE,
                    "node '%s': %s; ?force=true adds it all the same".formatted(name, words));
        }
        AddedDocument added =
                new AddedDocument(name, document, settings.access().secrets(), node.url());
        Optional<JobFailure> failed = write(added::over);
        if (failed.isPresent()) {
            return new Change.Refused(failed.get());
        }
        if (added.isKeyTaken()) {
            return refused(
                    JobFailure.Code.INVALID_REQUEST,
                    "another node had the reference to this key first, at the same moment: send it again to see whether it may be used");
        }
        Node made = nodes.find(name).orElse(null);
        if (added.isTaken() || made == null) {
            return taken(name, "");
        }
        made.awaitProbed(FIRST_PROBE);
        return new Change.Made(made);
    }

    /** Removes a node that was added at run time. On every replica, its running requests continue to their end. */
    public Change remove(String name) throws InterruptedException {
        Optional<JobFailure> obstacle = obstacle();
        if (obstacle.isPresent()) {
            return new Change.Refused(obstacle.get());
        }
        Node node = nodes.find(name).or(() -> nodes.findDraining(name)).orElse(null);
        if (node == null) {
            return new Change.Refused(nodes.unknown(name));
        }
        if (node.health().state() == Node.State.DRAINING) {
            return new Change.Made(node);
        }
        if (!nodes.isAdded(name)) {
            return refused(
                    JobFailure.Code.INVALID_REQUEST,
                    "node '%s' was not added over REST: it comes from the configuration (penstock.nodes.%s), from the environment (OLLAMA_HOST and the like) or from a search of localhost, and goes when it is gone there"
                            .formatted(name, name));
        }
        Optional<JobFailure> failed = write(current -> current.withoutNode(name));
        return failed.<Change>map(Change.Refused::new).orElseGet(() -> new Change.Made(node));
    }

    /** Pauses a topic, a pool or a node. If it is paused already, nothing changes. */
    public PauseChange pause(Pauses.Kind kind, String name) throws InterruptedException {
        Pauses.Pause wanted = new Pauses.Pause(kind, name, clock.instant().truncatedTo(ChronoUnit.MILLIS));
        return pauseChange(kind, name, pauses -> pauses.with(wanted));
    }

    /** Resumes a topic, a pool or a node. If it is not paused, nothing changes. */
    public PauseChange resume(Pauses.Kind kind, String name) throws InterruptedException {
        return pauseChange(kind, name, pauses -> pauses.without(kind, name));
    }

    private PauseChange pauseChange(Pauses.Kind kind, String name, UnaryOperator<Pauses> change)
            throws InterruptedException {
        Optional<JobFailure> obstacle = obstacle().or(() -> unknown(kind, name));
        if (obstacle.isPresent()) {
            return new PauseChange.Refused(obstacle.get());
        }
        Optional<JobFailure> failed = write(current -> {
            Pauses changed = change.apply(current.pauses());
            // the settings stay as they are if nothing changes
            return changed.equals(current.pauses()) ? current.settings() : current.withPauses(changed);
        });
        if (failed.isPresent()) {
            return new PauseChange.Refused(failed.get());
        }
        return nodes.pauses()
                .find(kind, name)
                .<PauseChange>map(PauseChange.Paused::new)
                .orElseGet(PauseChange.Resumed::new);
    }

    /** Returns the failure if there is nothing of that name. What is paused can be resumed even if it is gone. */
    private Optional<JobFailure> unknown(Pauses.Kind kind, String name) {
        Set<String> known = new TreeSet<>(
                switch (kind) {
                    case TOPIC ->
                        settings.intake().topics().stream()
                                .map(Settings.JobTopic::name)
                                .toList();
                    case POOL ->
                        nodes.all().stream().map(node -> node.settings().pool()).toList();
                    case NODE -> nodes.all().stream().map(Node::name).toList();
                });
        return known.contains(name) || feed.version().pauses().find(kind, name).isPresent()
                ? Optional.empty()
                : Optional.of(JobFailure.of(
                        JobFailure.Code.NOT_FOUND,
                        "%s '%s' not found. Available: %s"
                                .formatted(
                                        kind.wireName(), name, known.isEmpty() ? "none" : String.join(", ", known))));
    }

    private Optional<JobFailure> obstacle() {
        if (!settings.runtimeChanges()) {
            return Optional.of(JobFailure.of(
                    JobFailure.Code.FORBIDDEN,
                    "nothing changes at run time here: penstock.config.runtime-changes is false"));
        }
        return feed.isCaughtUp()
                ? Optional.empty()
                : Optional.of(JobFailure.of(
                        JobFailure.Code.BROKER_UNAVAILABLE,
                        "the broker has not been reached yet: nothing can be changed"));
    }

    private Optional<JobFailure> write(Function<SettingsVersion, ObjectNode> change) throws InterruptedException {
        try {
            feed.accept(log.change(change));
            return Optional.empty();
        } catch (KafkaException e) {
            LOG.warnf("the settings could not be changed: %s", Reason.of(e));
            return Optional.of(JobFailure.of(
                    JobFailure.Code.BROKER_UNAVAILABLE,
                    "the broker did not confirm in time: the change may have been made all the same"));
        }
    }

    private static Change taken(String name, String by) {
        return refused(
                JobFailure.Code.ID_CONFLICT,
                "there is a node '%s' already%s: choose another name, or remove that one first".formatted(name, by));
    }

    private static Change refused(JobFailure.Code code, String message) {
        return new Change.Refused(JobFailure.of(code, message));
    }

    private static String oneLine(List<String> mistakes) {
        return mistakes.size() == 1
                ? mistakes.getFirst()
                : mistakes.size() + " mistakes: " + String.join("; ", mistakes);
    }

    /**
     * A node that is about to be added to the settings log. The change may have to be repeated on top of a newer
     * version of the settings.
     */
    private static final class AddedDocument {
        private final String name;
        private final JsonNode document;
        private final Secrets secrets;
        private final URI url;
        private boolean written;
        private boolean taken;
        private boolean keyTaken;

        AddedDocument(String name, JsonNode document, Secrets secrets, URI url) {
            this.name = name;
            this.document = document;
            this.secrets = secrets;
            this.url = url;
        }

        ObjectNode over(SettingsVersion current) {
            JsonNode there = current.nodes().get(name);
            // the name is free if this change itself wrote the node, and another replica only added a later version
            taken = there != null && !(written && there.equals(document));
            if (there != null) {
                return current.settings();
            }
            String reference = AddedNode.reference(document);
            if (reference == null) {
                written = true;
                return current.withNode(name, document);
            }
            String boundTo = current.secrets().get(reference);
            keyTaken = !secrets.mayGo(reference, url, boundTo);
            if (keyTaken) {
                return current.settings();
            }
            written = true;
            return current.withNode(name, document, reference, boundTo == null ? Secrets.place(url) : boundTo);
        }

        boolean isKeyTaken() {
            return keyTaken;
        }

        boolean isTaken() {
            return taken;
        }
    }
}
