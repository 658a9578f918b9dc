package dev.penstock.schedule;

import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.balance.Option;
import dev.penstock.route.balance.Order;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.PlayedClock;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * Servers that read one prompt after the other, and then stream the answer. Each keeps the beginnings of its last prompts in
 * a cache and does not read them again. The scheduler knows only what it has learnt from its own requests.
 */
final class PoolSimulation {
    private static final double CHARS_PER_TOKEN = 3.3;

    private final SplittableRandom chance = new SplittableRandom(11);
    private final AtomicLong millis = new AtomicLong();
    private final FakeNodes nodes;
    private final UnaryOperator<NodesView.Load> seen;
    private final PriorityQueue<Event> events = new PriorityQueue<>();
    private final Map<String, Server> servers = new HashMap<>();
    private long[] firstTokens = new long[0];
    private int hits;
    private long turns;

    /**
     * A job.
     *
     * @param prefix stands for the beginning of its prompt
     * @param prefixTokens the tokens of the beginning; a server that has it in its cache need not read them
     * @param ownTokens the tokens of the rest
     */
    record Job(long millis, long prefix, long prefixTokens, long ownTokens, long answer) {}

    private record Event(long millis, long turn, Runnable happens) implements Comparable<Event> {
        @Override
        public int compareTo(Event other) {
            return millis == other.millis ? Long.compare(turn, other.turn) : Long.compare(millis, other.millis);
        }
    }

    private static final class Server {
        private final double tokensPerSecond;
        private final Map<Long, Boolean> cache;
        private long readUntil;
        private long jobs;
        private long readTokens;

        private Server(double tokensPerSecond, int prefixes) {
            this.tokensPerSecond = tokensPerSecond;
            cache = new LinkedHashMap<>(16, 0.75f, true) {
                @Override
                protected boolean removeEldestEntry(Map.Entry<Long, Boolean> eldest) {
                    return size() > prefixes;
                }
            };
        }
    }

    /**
     * @param tokensPerSecond the servers
     * @param prefixes how many beginnings each server keeps
     * @param seen what the scheduler sees of a node's load
     */
    PoolSimulation(Map<String, Double> tokensPerSecond, int prefixes, UnaryOperator<NodesView.Load> seen) {
        this.seen = seen;
        Map<String, String> keys = new HashMap<>();
        tokensPerSecond.forEach((node, rate) -> {
            TestSettings.node(node, "vllm", 4_096).forEach((key, value) -> keys.put("penstock." + key, value));
            servers.put(node, new Server(rate, prefixes));
        });
        nodes = new FakeNodes(
                TestSettings.ofFile(keys), PlayedClock.of(() -> Instant.ofEpochMilli(millis.get())), (_, _) -> {});
        servers.keySet().forEach(node -> nodes.server(node).up("llama"));
    }

    /** @param order the order of the nodes for a job */
    PoolSimulation play(List<Job> jobs, Function<Job, Order> order) {
        return playAt(
                jobs,
                (job, options) -> Objects.requireNonNull(order.apply(job).first(options, chance))
                        .candidate()
                        .node());
    }

    interface Chooser {
        String node(Job job, List<Option> options);
    }

    PoolSimulation playAt(List<Job> jobs, Chooser chooser) {
        firstTokens = new long[jobs.size()];
        for (int i = 0; i < jobs.size(); i++) {
            int number = i;
            event(jobs.get(i).millis(), () -> arrives(number, jobs.get(number), chooser));
        }
        for (Event next = events.poll(); next != null; next = events.poll()) {
            millis.set(next.millis());
            next.happens().run();
        }
        Arrays.sort(firstTokens);
        return this;
    }

    long millisToFirstToken(double quantile) {
        return firstTokens[(int) (firstTokens.length * quantile)];
    }

    double hitRate() {
        return (double) hits / firstTokens.length;
    }

    /** Returns the largest number of jobs at a server, as a factor of the mean. */
    double mostJobs() {
        double mean = (double) firstTokens.length / servers.size();
        return servers.values().stream().mapToLong(server -> server.jobs).max().orElseThrow() / mean;
    }

    /** Returns the most tokens that a server has read, as a factor of the mean. */
    double mostRead() {
        double mean = servers.values().stream()
                .mapToLong(server -> server.readTokens)
                .average()
                .orElseThrow();
        return servers.values().stream()
                        .mapToLong(server -> server.readTokens)
                        .max()
                        .orElseThrow()
                / mean;
    }

    private void arrives(int number, Job job, Chooser chooser) {
        long tokens = job.prefixTokens() + job.ownTokens();
        long chars = Math.round(tokens * CHARS_PER_TOKEN);
        List<NodesView.Load> loads = nodes.all().stream()
                .map(node -> seen.apply(NodesView.Load.of(node, 0)))
                .toList();
        List<Router.Candidate> pool = loads.stream()
                .map(load -> new Router.Candidate(load.name(), "llama"))
                .toList();
        String name = chooser.node(job, NodesView.of(loads).options(pool, Demand.ofChars(chars), _ -> true));
        Node.Slot slot = Objects.requireNonNull(nodes.find(name).orElseThrow().tryAcquire(chars, false));
        Server server = Objects.requireNonNull(servers.get(name));
        boolean hit = server.cache.put(job.prefix(), true) != null;
        hits += hit ? 1 : 0;
        long read = hit ? job.ownTokens() : tokens;
        server.jobs++;
        server.readTokens += read;
        long now = millis.get();
        long first = Math.max(now, server.readUntil) + Math.round(read / server.tokensPerSecond * 1_000);
        server.readUntil = first;
        firstTokens[number] = first - now;
        event(first, slot::heard);
        double seconds = job.answer() / 40.0;
        event(first + Math.round(seconds * 1_000), () -> {
            slot.answered(new Usage(tokens, job.answer()), seconds);
            slot.close();
        });
    }

    private void event(long at, Runnable happens) {
        events.add(new Event(at, turns++, happens));
    }
}
