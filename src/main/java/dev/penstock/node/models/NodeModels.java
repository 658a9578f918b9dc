package dev.penstock.node.models;

import dev.penstock.job.JobFailure;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Fetches, loads, unloads and deletes the models of one node. Thread-safe. */
public final class NodeModels {
    private static final Logger LOG = Logger.getLogger(NodeModels.class);
    /**
     * How long a failed fetch is remembered. During this time no job starts the fetch again, and jobs for the model
     * fail.
     */
    private static final Duration REMEMBERED = Duration.ofMinutes(1);

    /** The wait before a fetch is tried again, if the server was unreachable. Jobs for the model wait too. */
    private static final Duration RETRY = Duration.ofSeconds(5);

    private static final double LOGGED_EVERY = 10;

    private final NodeSettings settings;
    private final @Nullable ModelCommands commands;
    private final @Nullable NodeClient client;
    private final Clock clock;
    private final Later later;
    private final Lookup look;
    private final Runnable changed;
    private final Map<String, ModelTransfer> running = new ConcurrentHashMap<>();
    private final Map<String, Missed> missed = new ConcurrentHashMap<>();

    /** Probes the node's models. */
    public interface Lookup {
        /** Returns whether the node has this model now. */
        boolean has(String model) throws InterruptedException;
    }

    /** @param words why no job can use the model; empty if the fetch will be tried again */
    private record Missed(Instant until, Optional<String> words) {}

    /** @param changed called when a fetch has ended, and when a failed fetch may be tried again */
    public NodeModels(
            NodeSettings settings, Upstream upstream, Clock clock, Later later, Lookup look, Runnable changed) {
        this.settings = settings;
        client = upstream instanceof NodeClient server ? server : null;
        this.clock = clock;
        this.later = later;
        this.look = look;
        this.changed = changed;
        // without a client, the node is a program that Penstock starts; it serves only the configured files
        commands = client == null ? null : ModelCommands.of(settings.backend()).orElse(null);
    }

    /** The result of a command. */
    public sealed interface Result {
        record Done() implements Result {}

        record Refused(JobFailure failure) implements Result {}
    }

    /** The result of a request for a model. */
    public sealed interface Request {
        record OnItsWay(ModelTransfer transfer) implements Request {}

        record Refused(JobFailure failure) implements Request {}
    }

    /** Pulls or loads a model. If a transfer of the model is already under way, returns that transfer. */
    public Request fetch(String model) {
        if (commands == null) {
            return new Request.Refused(impossible());
        }
        ModelTransfer fresh = new ModelTransfer(settings.name(), model);
        ModelTransfer transfer = running.computeIfAbsent(commands.canonical(model), _ -> fresh);
        if (transfer == fresh) {
            ModelCommands known = commands;
            Thread.ofVirtual().name("penstock-fetch-" + settings.name()).start(() -> run(known, fresh));
        }
        return new Request.OnItsWay(transfer);
    }

    /** Fetches a model that a job waits for, unless a transfer of it is under way or has just failed. */
    public void fetchMissing(String model) {
        Missed last = commands == null ? null : missed.get(commands.canonical(model));
        if (commands != null && (last == null || !clock.instant().isBefore(last.until()))) {
            var _ = fetch(model);
        }
    }

    /** Returns the models whose fetch failed lately, each with the reason. */
    public Map<String, String> cannotFetch() {
        Instant now = clock.instant();
        missed.values().removeIf(miss -> !now.isBefore(miss.until()));
        Map<String, String> refused = new HashMap<>();
        missed.forEach((model, miss) -> miss.words().ifPresent(words -> refused.put(model, words)));
        return refused;
    }

    /** Returns the object that asks the server to describe its models; empty if the server is no Ollama. */
    public Optional<OllamaDescriptions> descriptions() {
        return settings.backend() == Backend.OLLAMA
                ? Optional.ofNullable(client).map(OllamaDescriptions::new)
                : Optional.empty();
    }

    /** Returns the one name that stands for all names of the same model at this node. */
    public String canonical(String model) {
        return commands == null ? model : commands.canonical(model);
    }

    public Result unload(String model) throws InterruptedException {
        return execute("unloaded", model, ModelCommands::unload);
    }

    public Result delete(String model) throws InterruptedException {
        return execute("deleted", model, ModelCommands::delete);
    }

    private interface Command {
        void give(ModelCommands commands, NodeClient client, String model)
                throws ModelCommands.Refused, InterruptedException;
    }

    private Result execute(String done, String model, Command command) throws InterruptedException {
        if (commands == null) {
            return new Result.Refused(impossible());
        }
        try {
            command.give(commands, Objects.requireNonNull(client), model);
            LOG.infof("node=%s model=%s %s", settings.name(), model, done);
            var _ = look.has(model);
            return new Result.Done();
        } catch (ModelCommands.Refused e) {
            return new Result.Refused(e.failure().atNode(settings.name()));
        }
    }

    private JobFailure impossible() {
        JobFailure failure = ModelCommands.impossible(settings.backend());
        return new JobFailure(
                failure.code(), "node '%s': %s".formatted(settings.name(), failure.message()), null, settings.name());
    }

    private void run(ModelCommands known, ModelTransfer transfer) {
        String canonical = known.canonical(transfer.model());
        LOG.infof("node=%s model=%s fetching", settings.name(), transfer.model());
        Logged logged = new Logged(transfer.model());
        ModelTransfer.State end = new ModelTransfer.State.Failed(
                JobFailure.of(JobFailure.Code.INTERNAL, "Penstock failed; its log has the reason")
                        .atNode(settings.name()));
        try {
            try {
                known.fetch(Objects.requireNonNull(client), transfer.model(), progress -> {
                    logged.at(progress);
                    transfer.become(progress);
                });
                missed.remove(canonical);
                LOG.infof("node=%s model=%s is there", settings.name(), transfer.model());
                end = new ModelTransfer.State.Done();
            } catch (ModelCommands.Refused e) {
                end = failed(canonical, e.failure());
            }
            // refreshes the node's list of models after success and failure, so that jobs that wait for the model are
            // routed again
            boolean listed = look.has(transfer.model());
            if (!listed && end instanceof ModelTransfer.State.Done) {
                // prevents repeated fetches if the model is listed late or under another name
                miss(canonical, RETRY, Optional.empty());
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            end = failed(canonical, JobFailure.of(JobFailure.Code.STREAM_BROKEN, "Penstock is stopping"));
        } catch (IllegalStateException _) {
            // the node was removed, and its client is closed
            end = failed(canonical, JobFailure.of(JobFailure.Code.STREAM_BROKEN, "the node was removed"));
        } finally {
            running.remove(canonical, transfer);
            transfer.become(end);
            changed.run();
        }
    }

    private void miss(String canonical, Duration remembered, Optional<String> words) {
        missed.put(canonical, new Missed(clock.instant().plus(remembered), words));
        later.run(remembered.plusMillis(1), changed);
    }

    private ModelTransfer.State failed(String canonical, JobFailure failure) {
        LOG.warnf("node=%s model=%s could not be fetched: %s", settings.name(), canonical, failure.message());
        boolean away = failure.code() == JobFailure.Code.NODE_UNREACHABLE
                || failure.code() == JobFailure.Code.STREAM_BROKEN
                || failure.code() == JobFailure.Code.NODE_OVERLOADED;
        miss(canonical, away ? RETRY : REMEMBERED, away ? Optional.empty() : Optional.of(failure.message()));
        return new ModelTransfer.State.Failed(failure.atNode(settings.name()));
    }

    /** Logs the progress from time to time. */
    private final class Logged {
        private final String model;
        private double next = LOGGED_EVERY;

        Logged(String model) {
            this.model = model;
        }

        void at(ModelTransfer.State.Running progress) {
            Double percent = progress.percent();
            if (percent != null && percent >= next) {
                next = percent - percent % LOGGED_EVERY + LOGGED_EVERY;
                LOG.infof("node=%s model=%s %s: %.0f %%", settings.name(), model, progress.status(), percent);
            }
        }
    }
}
