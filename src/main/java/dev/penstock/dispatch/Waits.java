package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.Waiting;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.route.match.Decision;
import dev.penstock.route.match.Rules;
import dev.penstock.schedule.Routes;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.Pauses;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Instant;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds out why a job waits. Any replica can answer for any job: the answer follows from the job's records and from
 * this replica's view of the nodes.
 */
@Singleton
public class Waits {
    private static final String NONE =
            "no node is configured, and none was found on localhost: set penstock.nodes, VLLM_URL, OLLAMA_HOST or the like";
    private static final String BY_PROMPT =
            "it waits for a node; its routing rule depends on the prompt, which the ledger does not have. POST /v1/route with the job shows the rule and the nodes";
    private static final int MOST_LISTED = 5;

    /** The reasons for a deferral that can end before the deferred job is due. */
    static final Set<Waiting.Code> ENDS_EARLY = EnumSet.of(Waiting.Code.NODE_DOWN, Waiting.Code.PAUSED);

    /**
     * What decides why a job waits.
     *
     * @param topic the topic whose pause holds the job; null if no pause of a topic does
     * @param tenant the tenant whose limits hold the job; null if it is not known
     */
    public record Subject(@Nullable String topic, @Nullable String tenant, RouteKey routeKey) {}

    private final Nodes nodes;
    private final Routes routes;
    private final Rules rules;
    private final Scheduler scheduler;
    private final Clock clock;

    public Waits(Settings settings, Nodes nodes, Scheduler scheduler, Clock clock) {
        this.nodes = nodes;
        this.scheduler = scheduler;
        this.clock = clock;
        routes = new Routes(settings, nodes);
        rules = new Rules(settings);
    }

    /** Returns why this job waits; empty if it does not wait. */
    public Optional<Waiting> of(JobRow row) {
        JobState state = row.state().orElse(null);
        Submission record = row.submissions().chosen().orElse(null);
        if (state == null || record == null || state.status().isOver()) {
            return Optional.empty();
        }
        Instant now = clock.instant();
        Submissions.DeferredRecord deferred = row.submissions()
                .lastDeferred()
                .filter(last -> last.lastAttempt() >= state.attempts() && last.isDueAfter(now))
                .orElse(null);
        if (deferred == null && state.status() != JobState.Status.QUEUED) {
            return Optional.empty();
        }
        Pauses.Pause pause = pauseOf(record.stamp().place().topic());
        Waiting waiting = pause == null
                ? forTenant(record.tenant(), forNodes(row.id(), record, state.createdAt()))
                : paused(pause, state.createdAt());
        return Optional.of(deferred == null ? waiting : deferred(deferred, waiting));
    }

    private Pauses.@Nullable Pause pauseOf(@Nullable String topic) {
        return topic == null
                ? null
                : nodes.pauses().find(Pauses.Kind.TOPIC, topic).orElse(null);
    }

    private static Waiting paused(Pauses.Pause pause, Instant since) {
        return new Waiting(
                Waiting.Code.PAUSED,
                "%s: penstock resume %s %s"
                        .formatted(pause.words(), pause.kind().wireName(), pause.name()),
                since.isAfter(pause.since()) ? since : pause.since());
    }

    /** Returns why a job waits that waits for a slot if its tenant has reached no limit. */
    private Waiting forTenant(@Nullable String tenant, Waiting forNodes) {
        return forNodes.code() == Waiting.Code.SLOT && tenant != null
                ? scheduler
                        .askTenants((tenants, now) -> tenants.obstacle(tenant, now))
                        .map(limit -> new Waiting(Waiting.Code.TENANT_LIMIT, limit, forNodes.since()))
                        .orElse(forNodes)
                : forNodes;
    }

    private Waiting forNodes(JobId id, Submission record, Instant since) {
        Optional<Decision> decision = rules.decide(new Rules.Known(
                id,
                record.task(),
                record.model(),
                record.priority(),
                record.tenant(),
                record.stamp().place().topic(),
                record.metadata()));
        return decision.map(found -> of(
                        new RouteKey(found.model(record.model()), record.task(), record.pins(), found.targets()),
                        since))
                .orElseGet(() -> nodes.all().isEmpty()
                        ? new Waiting(Waiting.Code.NO_NODE, NONE, since)
                        : new Waiting(Waiting.Code.SLOT, BY_PROMPT, since));
    }

    private static Waiting deferred(Submissions.DeferredRecord record, Waiting now) {
        Instant due = Instant.ofEpochMilli(record.dueMillis());
        Instant since = Instant.ofEpochMilli(record.stamp().millis());
        return switch (record.why()) {
            case QUARANTINED ->
                new Waiting(
                        Waiting.Code.QUARANTINED,
                        "earlier runs crashed with their process: the job is quarantined, and is checked again at "
                                + due,
                        since);
            case DUPLICATE ->
                new Waiting(
                        Waiting.Code.DUPLICATE,
                        "another record has the same id: this one is checked again at " + due,
                        since);
            case NODE_DOWN, MODEL_UNKNOWN, NODE_LOADING ->
                now.code() == Waiting.Code.SLOT
                        ? new Waiting(
                                Waiting.Code.DEFERRED,
                                "it was deferred as its nodes were down or paused; a node takes jobs again, and it comes back now",
                                since)
                        : untilThen(now, due);
            case PAUSED ->
                now.code() == Waiting.Code.PAUSED
                        ? untilThen(now, due)
                        : new Waiting(
                                Waiting.Code.DEFERRED,
                                "it was deferred as its topic was paused; the topic is resumed, and it comes back now",
                                since);
            case TENANT_LIMIT ->
                new Waiting(
                        Waiting.Code.TENANT_LIMIT,
                        "its tenant had reached a limit, and it made room for other jobs; it comes back at %s; %s"
                                .formatted(due, now.message()),
                        since);
            case SLOT, DEFERRED, NO_NODE ->
                now.code() == Waiting.Code.PAUSED
                        ? untilThen(now, due)
                        : new Waiting(
                                Waiting.Code.DEFERRED,
                                "it made room for jobs of other nodes and comes back at %s; %s"
                                        .formatted(due, now.message()),
                                since);
        };
    }

    private static Waiting untilThen(Waiting now, Instant due) {
        return new Waiting(
                now.code(), now.message() + "; deferred until then, and checked again at " + due, now.since());
    }

    /**
     * Returns whether a deferred job can run before it is due.
     *
     * <ul>
     *   <li>It was deferred because its nodes were down or paused, and a node takes jobs again, or no node can ever serve
     *       it.
     *   <li>It was deferred because its topic was paused, and the topic is resumed.
     * </ul>
     *
     * @param why why it was deferred
     */
    public boolean mayGoOn(Waiting.Code why, Subject job) {
        return switch (why) {
            case NODE_DOWN -> mayGoOn(job.routeKey());
            case PAUSED -> pauseOf(job.topic()) == null;
            case SLOT, NODE_LOADING, MODEL_UNKNOWN, DEFERRED, QUARANTINED, DUPLICATE, TENANT_LIMIT, NO_NODE -> false;
        };
    }

    /** Returns whether a node takes jobs with this route key, or no node can ever serve them. */
    boolean mayGoOn(RouteKey key) {
        return switch (routes.of(key)) {
            case Router.Route.Nowhere _ -> true;
            case Router.Route.To to -> anyTakesJobs(to);
            case Router.Route.AfterFetch fetch -> anyTakesJobs(fetch);
        };
    }

    /** Returns a number that changes whenever the result of {@link #mayGoOn} may change. */
    public long version() {
        return nodes.version();
    }

    private boolean anyTakesJobs(Router.Route route) {
        return nodesOf(route).anyMatch(Node::takesJobs);
    }

    /** Returns a warning if there is no node at all; otherwise empty. */
    public Optional<String> noNode() {
        return nodes.all().isEmpty() ? Optional.of(NONE) : Optional.empty();
    }

    /**
     * Returns why a job does not run.
     *
     * @param since the time when the job arrived
     */
    Waiting of(Subject job, Instant since) {
        Pauses.Pause pause = pauseOf(job.topic());
        return pause == null ? forTenant(job.tenant(), of(job.routeKey(), since)) : paused(pause, since);
    }

    private Waiting of(RouteKey key, Instant since) {
        if (nodes.all().isEmpty()) {
            return new Waiting(Waiting.Code.NO_NODE, NONE, since);
        }
        Router.Route route = routes.of(key);
        return switch (route) {
            case Router.Route.Nowhere(JobFailure failure) ->
                new Waiting(
                        failure.code() == JobFailure.Code.NO_NODE ? Waiting.Code.NO_NODE : Waiting.Code.MODEL_UNKNOWN,
                        failure.message() + ". The job fails when a replica takes it",
                        since);
            case Router.Route.AfterFetch fetch -> fetching(fetch, since);
            case Router.Route.To to -> nodesOf(to).findAny().isEmpty() ? unknown(key, since) : at(to, since);
        };
    }

    private Waiting fetching(Router.Route.AfterFetch route, Instant since) {
        return anyTakesJobs(route)
                ? new Waiting(
                        Waiting.Code.NODE_LOADING,
                        "no node has the model yet: it is fetched by "
                                + route.nodes().getFirst().node(),
                        since)
                : closed(nodesOf(route).toList(), since);
    }

    private Waiting at(Router.Route route, Instant since) {
        List<Node> up = in(route, Node.State.UP);
        if (!up.isEmpty()) {
            Node free = up.stream().filter(Node::hasRoom).findFirst().orElse(null);
            return new Waiting(
                    Waiting.Code.SLOT,
                    free != null
                            ? "it waits for its turn; node %s has a free slot".formatted(free.name())
                            : "no slot is free: " + joined(up, Waits::use),
                    since);
        }
        List<Node> loading = in(route, Node.State.LOADING);
        return loading.isEmpty()
                ? closed(nodesOf(route).toList(), since)
                : new Waiting(
                        Waiting.Code.NODE_LOADING,
                        joined(loading, node -> "%s is loading: %s".formatted(node.name(), why(node))),
                        later(since, loading));
    }

    private static String use(Node node) {
        return node.requests().areTrials()
                ? "%s failed its last jobs, and one job at a time tries it".formatted(node.name())
                : node.requests()
                        .fullMinute()
                        .map(full -> "%s had %s".formatted(node.name(), full))
                        .orElseGet(() ->
                                "%s has %d of %d in use".formatted(node.name(), node.inFlight(), node.limitNow()));
    }

    /** Returns the reason if each of these nodes is down or paused. */
    private static Waiting closed(List<Node> nodes, Instant since) {
        List<Pauses.Pause> pauses =
                nodes.stream().flatMap(node -> node.pause().stream()).distinct().toList();
        if (pauses.isEmpty()) {
            return down(nodes, since);
        }
        Instant latest = Stream.concat(Stream.of(since), pauses.stream().map(Pauses.Pause::since))
                .max(Instant::compareTo)
                .orElse(since);
        List<Node> down = nodes.stream().filter(node -> node.pause().isEmpty()).toList();
        String paused =
                pauses.stream().limit(MOST_LISTED).map(Pauses.Pause::words).collect(Collectors.joining("; "));
        return new Waiting(
                Waiting.Code.PAUSED,
                down.isEmpty() ? paused : paused + "; " + down(down, since).message(),
                latest);
    }

    private static Waiting down(List<Node> down, Instant since) {
        return new Waiting(
                Waiting.Code.NODE_DOWN,
                joined(
                        down,
                        node -> "%s is down since %s: %s"
                                .formatted(node.name(), node.health().since(), why(node))),
                later(since, down));
    }

    /** Returns the reason if no node lists the model, but a node that was never reached may have it. */
    private Waiting unknown(RouteKey key, Instant since) {
        List<Node> never = nodes.all().stream()
                .filter(node -> !node.health().known() && routes.allows(key, node))
                .toList();
        String unreached = joined(never, node -> "%s has not been reached: %s".formatted(node.name(), why(node)));
        boolean anyKnown = nodes.all().stream().anyMatch(node -> node.health().known());
        if (!anyKnown) {
            return new Waiting(
                    never.stream().anyMatch(node -> node.health().state() == Node.State.LOADING)
                            ? Waiting.Code.NODE_LOADING
                            : Waiting.Code.NODE_DOWN,
                    "no node has been up so far. " + unreached,
                    later(since, never));
        }
        Instant until =
                never.stream().map(Node::unknownUntil).max(Instant::compareTo).orElse(since);
        return new Waiting(
                Waiting.Code.MODEL_UNKNOWN,
                "no node that has been reached lists %s. %s. From %s on the job fails (penstock.nodes.unknown-for)"
                        .formatted(
                                key.model() == null ? "a model for it" : "model '" + key.model() + "'",
                                unreached,
                                until),
                since);
    }

    private Stream<Node> nodesOf(Router.Route route) {
        return Routes.candidates(route).stream()
                .flatMap(List::stream)
                .map(candidate -> nodes.find(candidate.node()))
                .flatMap(Optional::stream);
    }

    private List<Node> in(Router.Route route, Node.State state) {
        return nodesOf(route)
                .filter(node -> node.pause().isEmpty() && node.health().state() == state)
                .toList();
    }

    private static Instant later(Instant since, List<Node> nodes) {
        return Stream.concat(
                        Stream.of(since),
                        nodes.stream().map(node -> node.health().since()))
                .max(Instant::compareTo)
                .orElse(since);
    }

    private static String why(Node node) {
        return Objects.requireNonNullElse(node.health().lastError(), "no reason");
    }

    private interface Words {
        String of(Node node);
    }

    private static String joined(List<Node> nodes, Words words) {
        String listed = nodes.stream().limit(MOST_LISTED).map(words::of).collect(Collectors.joining("; "));
        return nodes.size() > MOST_LISTED ? listed + "; and " + (nodes.size() - MOST_LISTED) + " more" : listed;
    }
}
