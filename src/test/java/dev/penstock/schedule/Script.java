package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.job.Task;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.balance.LeastLoad;
import dev.penstock.route.balance.Length;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.settings.Backend;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.TenantLimits;
import dev.penstock.tenant.Tenants;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Plays a script against a {@link Schedule}, with nodes that are only numbers and with a clock that the script moves.
 *
 * <p>Settings: {@code slots=8 low=0 park=5s}, {@code t=1} for the slots of the topic {@code t}, and for the tenant {@code
 * acme} {@code acme:weight=3 acme:most=2 acme:requests=10 acme:tokens=500}; for direct calls {@code calls=1000
 * share=0.25}. Events, with semicolons
 * between them:
 *
 * <ul>
 *   <li>{@code node a 2 llama,phi}: a node with two slots in the pool gpu, up; {@code node a/cpu 2 llama}: in another pool;
 *       {@code fetcher a 2 llama}: one that fetches what is missing
 *   <li>{@code context a 8192}: it lists the context of its models; {@code swaps a}: it loads a model in place of another one
 *   <li>{@code up a}, {@code down a}, {@code loading a}, {@code gone a}; {@code never a 1}: one that was never up
 *   <li>{@code full a}: its slots are taken by others; {@code refuses a}: it says that it has room, and gives no slot
 *   <li>{@code join 1 llama high copy tenant=acme topic=t due=9s end=2s useless=a,b after=a@500ms}: an entry with that turn
 *       waits; also {@code chars=400 tokens=9000 drops prefix=7 ungrouped}
 *   <li>{@code call 1 llama high}: a direct call waits, with the same words as {@code join}
 *   <li>{@code done 1}: its attempt is over, and its run; {@code failed 1}: its attempt only; {@code leave 1}: its wait is over
 *   <li>{@code used 1 20 30}: its attempt had so many tokens
 *   <li>{@code pause t}, {@code resume t}: the topic {@code t}
 *   <li>{@code pass 300ms}, {@code crowded}
 * </ul>
 *
 * <p>Decisions: {@code 1@a} (granted), {@code 1@a!} (granted, and the node swaps its model),
 * {@code 1:down}, {@code 1:full}, {@code 1:paused}, {@code 1:limit} (deferred), {@code 1:late}, {@code 1:never} and
 * {@code fetch:a:phi}; {@code 1:no_node} and {@code 1:rate_limited} for a refused call.
 */
final class Script {
    private final Schedule schedule;
    private final Map<String, FakeNode> nodes = new LinkedHashMap<>();
    private final Set<String> swappers = new HashSet<>();
    private final Set<Long> holders = new HashSet<>();
    private final Map<Long, Wait> waits = new HashMap<>();
    private final Map<Long, String> running = new HashMap<>();
    private final Map<Long, String> topics = new HashMap<>();
    private final Map<String, Long> paused = new HashMap<>();
    private final List<String> decisions = new ArrayList<>();
    private long now;
    private boolean crowded;

    private static final class FakeNode {
        private final String name;
        private final String pool;
        private final int slots;
        private final List<String> models;
        private final boolean fetches;
        private boolean known = true;
        private boolean refuses;
        private @Nullable Long context;
        private Node.State state = Node.State.UP;
        private long since;
        private int inFlight;
        private int calls;

        private FakeNode(String name, String pool, int slots, List<String> models, boolean fetches, long since) {
            this.name = name;
            this.pool = pool;
            this.slots = slots;
            this.models = models;
            this.fetches = fetches;
            this.since = since;
        }

        private NodesView.Load load() {
            List<WireProtocol.Model> listed = context == null
                    ? List.of()
                    : models.stream()
                            .map(model -> new WireProtocol.Model(model, true, context))
                            .toList();
            return new NodesView.Load(
                    name,
                    state,
                    since,
                    inFlight,
                    slots,
                    slots - inFlight,
                    false,
                    listed,
                    NodeLoad.UNKNOWN,
                    1,
                    false,
                    calls);
        }

        private Router.NodeView view() {
            return new Router.NodeView(
                    name,
                    Backend.VLLM,
                    pool,
                    known ? models : List.of(),
                    Map.of(),
                    known,
                    null,
                    fetches ? new Router.Fetching(true, Map.of()) : Router.Fetching.NEVER);
        }
    }

    Script(String settings) {
        Map<String, String> keys =
                new HashMap<>(Map.of("slots", "8", "low", "0", "park", "5s", "calls", "1000", "share", "0.25"));
        Arrays.stream(settings.trim().split(" +", -1))
                .filter(setting -> !setting.isEmpty())
                .forEach(setting -> keys.put(setting.split("=", -1)[0], setting.split("=", -1)[1]));
        int slots = Integer.parseInt(keys.getOrDefault("slots", ""));
        double low = Double.parseDouble(keys.getOrDefault("low", ""));
        Duration park = duration(keys.getOrDefault("park", ""));
        Map<String, Integer> topicSlots = new HashMap<>();
        Settings.Admission admission = new Settings.Admission(
                Integer.parseInt(keys.getOrDefault("calls", "")), Double.parseDouble(keys.getOrDefault("share", "")));
        keys.keySet().removeAll(Set.of("slots", "low", "park", "calls", "share"));
        Tenants tenants = new Tenants(tenants(keys));
        keys.keySet().removeIf(key -> key.contains(":"));
        keys.forEach((topic, count) -> topicSlots.put(topic, Integer.parseInt(count)));
        schedule = new Schedule(
                new WaitingLine(low, tenants),
                new DeferralPolicy(park, slots, tenants),
                new ReplicaSlots(slots, topicSlots),
                new Groups(swappers::contains),
                tenants,
                admission);
    }

    private static Map<String, TenantLimits> tenants(Map<String, String> keys) {
        return keys.keySet().stream()
                .filter(key -> key.contains(":"))
                .map(key -> key.split(":", -1)[0])
                .distinct()
                .collect(Collectors.toMap(
                        tenant -> tenant,
                        tenant -> new TenantLimits(
                                Integer.parseInt(keys.getOrDefault(tenant + ":weight", "1")),
                                limit(keys.get(tenant + ":most")),
                                limit(keys.get(tenant + ":requests")),
                                limit(keys.get(tenant + ":tokens")))));
    }

    private static OptionalInt limit(@Nullable String value) {
        return value == null ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(value));
    }

    /** @return the decisions, in their order */
    static String play(String settings, String events) {
        Script script = new Script(settings);
        for (String event : events.split(";", -1)) {
            script.event(event.trim().split(" +", -1));
        }
        return String.join(" ", script.decisions);
    }

    static RouteKey key(String model) {
        return new RouteKey(model.equals("any") ? null : model, Task.CHAT, PromptJob.Pins.NONE);
    }

    private void event(String... words) {
        String what = words[0];
        String of = words.length > 1 ? words[1] : "";
        switch (what) {
            case "swaps" -> swappers.add(of);
            case "node", "fetcher" -> {
                String[] name = of.split("/", -1);
                nodes.put(
                        name[0],
                        new FakeNode(
                                name[0],
                                name.length > 1 ? name[1] : "gpu",
                                Integer.parseInt(words[2]),
                                List.of(words[3].split(",", -1)),
                                what.equals("fetcher"),
                                now));
                reroute();
            }
            case "never" -> {
                FakeNode node = new FakeNode(of, "gpu", Integer.parseInt(words[2]), List.of(), false, now);
                node.known = false;
                node.state = Node.State.DOWN;
                nodes.put(of, node);
                reroute();
            }
            case "up", "down", "loading" -> {
                node(of).state = Node.State.valueOf(what.toUpperCase(Locale.ROOT));
                node(of).since = now;
                reroute();
            }
            case "gone" -> {
                nodes.remove(of);
                reroute();
            }
            case "full" -> {
                node(of).inFlight = node(of).slots;
                schedule.changed(node(of).load());
            }
            case "context" -> {
                node(of).context = Long.valueOf(words[2]);
                reroute();
            }
            case "refuses" -> node(of).refuses = true;
            case "join", "call" -> join(words);
            case "used" ->
                schedule.tenants()
                        .used(turn(of), Long.parseLong(words[2]), Long.parseLong(words[3]), Schedule.millis(now));
            case "leave" -> schedule.left(Objects.requireNonNull(waits.remove(turn(of))));
            case "done", "failed" -> {
                FakeNode node = nodes.get(running.remove(turn(of)));
                if (node != null) {
                    node.inFlight--;
                    node.calls -= ReplicaSlots.NO_TOPIC.equals(topics.get(turn(of))) ? 1 : 0;
                    schedule.changed(node.load());
                }
                if (what.equals("done")) {
                    settle();
                    holders.remove(turn(of));
                    schedule.slotGivenBack(turn(of), Objects.requireNonNull(topics.get(turn(of))));
                }
            }
            case "pause", "resume" -> {
                if (what.equals("pause")) {
                    paused.put(of, now);
                } else {
                    paused.remove(of);
                }
                schedule.paused(paused);
            }
            case "pass" -> now += duration(of).toNanos();
            case "crowded" -> crowded = true;
            default -> throw new IllegalArgumentException(what);
        }
        settle();
    }

    private void join(String... words) {
        long turn = turn(words[1]);
        Priority priority = Priority.NORMAL;
        String tenant = "default";
        String topic = words[0].equals("call") ? ReplicaSlots.NO_TOPIC : "jobs";
        long chars = 0;
        boolean copy = false;
        long end = now + Duration.ofDays(1).toNanos();
        long due = Wait.NEVER;
        Set<String> useless = Set.of();
        Map<String, Long> after = new HashMap<>();
        long tokens = 0;
        Placing.Overflow overflow = Placing.Overflow.NEXT;
        Placing.Group group = Placing.Group.MODEL;
        Long prefix = null;
        for (String word : List.of(words).subList(3, words.length)) {
            String[] option = word.split("=", -1);
            switch (option[0]) {
                case "high" -> priority = Priority.HIGH;
                case "low" -> priority = Priority.LOW;
                case "copy" -> copy = true;
                case "tenant" -> tenant = option[1];
                case "topic" -> topic = option[1];
                case "chars" -> chars = Long.parseLong(option[1]);
                case "due" -> due = now + duration(option[1]).toNanos();
                case "end" -> end = now + duration(option[1]).toNanos();
                case "tokens" -> tokens = turn(option[1]);
                case "drops" -> overflow = Placing.Overflow.DROP_OLDEST;
                case "prefix" -> {
                    group = Placing.Group.PREFIX;
                    prefix = turn(option[1]);
                }
                case "ungrouped" -> group = Placing.Group.NONE;
                case "useless" -> useless = Set.of(option[1].split(",", -1));
                case "after" ->
                    Arrays.stream(option[1].split(",", -1))
                            .forEach(each -> after.put(
                                    each.split("@", -1)[0],
                                    now + duration(each.split("@", -1)[1]).toNanos()));
                default -> throw new IllegalArgumentException(word);
            }
        }
        topics.put(turn, topic);
        Demand demand = new Demand(
                new Length(new PromptSize(chars, tokens), 0, true),
                new LeastLoad(),
                overflow,
                new Demand.Grouping(group, prefix, Duration.ofSeconds(10).toNanos()));
        Wait wait = new Wait(
                turn,
                key(words[2]),
                demand,
                priority,
                tenant,
                topic,
                copy,
                holders.contains(turn),
                now,
                due,
                end,
                useless,
                after);
        waits.put(turn, wait);
        schedule.joined(wait, now);
    }

    private void reroute() {
        List<Router.NodeView> views =
                nodes.values().stream().map(FakeNode::view).toList();
        Router router = new Router(Map.of(), null, false);
        schedule.rerouted(
                new Placement(
                        NodesView.of(nodes.values().stream().map(FakeNode::load).toList()),
                        key -> router.find(key.model(), key.task(), key.pins(), key.targets(), views),
                        () -> 0),
                now);
    }

    private void settle() {
        for (Decision decision = next(); decision != null; decision = next()) {
            switch (decision) {
                case Decision.Grant(Wait waiting, String node, String model) -> grant(waiting, node(node), model);
                case Decision.End(Wait waiting, Admission how) ->
                    decisions.add(waiting.turn() + ":"
                            + switch (how) {
                                case Admission.Deferred(Admission.Cause cause) ->
                                    switch (cause) {
                                        case NODES_DOWN -> "down";
                                        case TOPIC_PAUSED -> "paused";
                                        case NODES_FULL -> "full";
                                        case TENANT_LIMIT -> "limit";
                                    };
                                case Admission.TimedOut() -> "late";
                                case Admission.Refused(JobFailure failure) ->
                                    waiting.isCall() ? failure.code().wireName() : "never";
                                case Admission.Granted _, Admission.Stopped _ -> throw new AssertionError(how);
                            });
                case Decision.Fetch(String node, String model) -> decisions.add("fetch:" + node + ":" + model);
            }
        }
    }

    private @Nullable Decision next() {
        return schedule.next(now, () -> crowded);
    }

    private void grant(Wait wait, FakeNode node, String model) {
        if (node.refuses) {
            schedule.changed(node.load().full());
            return;
        }
        node.inFlight++;
        node.calls += wait.isCall() ? 1 : 0;
        schedule.changed(node.load());
        boolean swaps = schedule.granted(wait, node.name, model, now);
        holders.add(wait.turn());
        running.put(wait.turn(), node.name);
        decisions.add(wait.turn() + "@" + node.name + (swaps ? "!" : ""));
    }

    private FakeNode node(String name) {
        return Objects.requireNonNull(nodes.get(name));
    }

    private static long turn(String word) {
        return Long.parseLong(word);
    }

    private static Duration duration(String word) {
        return word.endsWith("ms")
                ? Duration.ofMillis(Long.parseLong(word.substring(0, word.length() - 2)))
                : Duration.ofSeconds(Long.parseLong(word.substring(0, word.length() - 1)));
    }
}
