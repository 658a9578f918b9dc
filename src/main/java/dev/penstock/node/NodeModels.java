package dev.penstock.node;

import dev.penstock.job.JobFailure;
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

/** The models of one node: fetched, loaded, unloaded and deleted. Thread-safe. */
public final class NodeModels {
    private static final Logger LOG = Logger.getLogger(NodeModels.class);
    /** So long a model that could not be fetched is not tried again for jobs, which fail meanwhile. */
    private static final Duration REMEMBERED = Duration.ofMinutes(1);

    /** A server that went away is another matter: the jobs wait. */
    private static final Duration RETRY = Duration.ofSeconds(5);

    private static final double LOGGED_EVERY = 10;

    private final NodeSettings settings;
    private final @Nullable ModelCommands commands;
    private final @Nullable NodeClient client;
    private final Clock clock;
    private final Node.Later later;
    private final Look look;
    private final Runnable changed;
    private final Map<String, ModelTransfer> running = new ConcurrentHashMap<>();
    private final Map<String, Missed> missed = new ConcurrentHashMap<>();

    /** Looks what the node has now. */
    interface Look {
        /** Whether this model is among it. */
        boolean has(String model) throws InterruptedException;
    }

    /** @param words why no job can have it; empty: it is tried again */
    private record Missed(Instant until, Optional<String> words) {}

    /** @param changed called where a model that jobs wait for may be fetched now, or cannot be */
    NodeModels(NodeSettings settings, Upstream upstream, Clock clock, Node.Later later, Look look, Runnable changed) {
        this.settings = settings;
        client = upstream instanceof NodeClient server ? server : null;
        this.clock = clock;
        this.later = later;
        this.look = look;
        this.changed = changed;
        // what Penstock starts serves the files that the configuration names
        commands = client == null ? null : ModelCommands.of(settings.backend()).orElse(null);
    }

    /** What became of a command. */
    public sealed interface Told {
        record Done() implements Told {}

        record Refused(JobFailure failure) implements Told {}
    }

    /** What became of the wish for a model. */
    public sealed interface Asked {
        record OnItsWay(ModelTransfer transfer) implements Asked {}

        record Refused(JobFailure failure) implements Asked {}
    }

    /** Pulls or loads a model; where that is under way already this joins it. */
    public Asked fetch(String model) {
        if (commands == null) {
            return new Asked.Refused(impossible());
        }
        ModelTransfer fresh = new ModelTransfer(settings.name(), model);
        ModelTransfer transfer = running.computeIfAbsent(commands.canonical(model), _ -> fresh);
        if (transfer == fresh) {
            ModelCommands known = commands;
            Thread.ofVirtual().name("penstock-fetch-" + settings.name()).start(() -> run(known, fresh));
        }
        return new Asked.OnItsWay(transfer);
    }

    /** Fetches what a job waits for, unless that is under way or was tried a moment ago. */
    public void fetchMissing(String model) {
        Missed last = commands == null ? null : missed.get(commands.canonical(model));
        if (commands != null && (last == null || !clock.instant().isBefore(last.until()))) {
            var _ = fetch(model);
        }
    }

    /** The models that could not be fetched lately, as the jobs named them, and why. */
    public Map<String, String> cannotFetch() {
        Instant now = clock.instant();
        missed.values().removeIf(miss -> !now.isBefore(miss.until()));
        Map<String, String> refused = new HashMap<>();
        missed.forEach((model, miss) -> miss.words().ifPresent(words -> refused.put(model, words)));
        return refused;
    }

    /** One name for all that mean the same model here. */
    public String canonical(String model) {
        return commands == null ? model : commands.canonical(model);
    }

    public Told unload(String model) throws InterruptedException {
        return tell("unloaded", model, ModelCommands::unload);
    }

    public Told delete(String model) throws InterruptedException {
        return tell("deleted", model, ModelCommands::delete);
    }

    private interface Command {
        void give(ModelCommands commands, NodeClient client, String model)
                throws ModelCommands.Refused, InterruptedException;
    }

    private Told tell(String done, String model, Command command) throws InterruptedException {
        if (commands == null) {
            return new Told.Refused(impossible());
        }
        try {
            command.give(commands, Objects.requireNonNull(client), model);
            LOG.infof("node=%s model=%s %s", settings.name(), model, done);
            var _ = look.has(model);
            return new Told.Done();
        } catch (ModelCommands.Refused e) {
            return new Told.Refused(e.failure().atNode(settings.name()));
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
                JobFailure.of(JobFailure.Code.INTERNAL, "Penstock failed; its log says why")
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
            // the jobs that wait for it are looked at again, whatever came of it
            boolean listed = look.has(transfer.model());
            if (!listed && end instanceof ModelTransfer.State.Done) {
                // nor is it fetched again and again for them, where it is listed late or under another name
                miss(canonical, RETRY, Optional.empty());
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            end = failed(canonical, JobFailure.of(JobFailure.Code.STREAM_BROKEN, "Penstock is stopping"));
        } catch (IllegalStateException _) {
            // the client of a node that was removed is closed
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

    /** Says now and then how far one is. */
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
