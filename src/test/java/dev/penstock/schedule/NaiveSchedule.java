package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The same rules as {@link Schedule} in the simplest form: it keeps one list, and reads all of it for each decision. It
 * grants each decision itself.
 */
final class NaiveSchedule {
    static final long PARK = Duration.ofSeconds(1).toNanos();

    final Map<String, FakeNode> nodes = new TreeMap<>();
    final List<Wait> waits = new ArrayList<>();
    final Map<String, Integer> topicSlots = new HashMap<>();
    final Set<String> crowded;
    final NaiveTenants tenants;
    private final double lowShare;
    private final int kept;
    int free;
    private double lowCredit;
    private final List<Map.Entry<RouteKey, Long>> starts = new ArrayList<>();

    /** A node that is only numbers. */
    static final class FakeNode {
        final Set<String> models;
        Node.State state = Node.State.UP;
        long since;
        int inFlight;
        int limit;

        FakeNode(Set<String> models, int limit) {
            this.models = models;
            this.limit = limit;
        }

        boolean hasRoom() {
            return state == Node.State.UP && inFlight < limit;
        }
    }

    /** @param crowded not empty: the jobs in flight leave no memory for further ones */
    NaiveSchedule(int slots, double lowShare, Set<String> crowded, NaiveTenants tenants) {
        this.tenants = tenants;
        free = slots;
        kept = Math.max(1, slots / 8);
        this.lowShare = lowShare;
        this.crowded = crowded;
    }

    FakeNode node(String name) {
        return Objects.requireNonNull(nodes.get(name));
    }

    List<String> candidates(RouteKey key) {
        return nodes.keySet().stream()
                .filter(node -> node(node).models.contains(key.model()))
                .toList();
    }

    /** All decisions at that time. */
    List<String> settle(long now) {
        List<String> decisions = new ArrayList<>(ends(now));
        for (Wait first = first(now); first != null; first = first(now)) {
            decisions.add(grant(first, now));
        }
        List<String> limited = limited(now);
        decisions.addAll(relieve(now));
        decisions.addAll(limited);
        return decisions;
    }

    void join(Wait wait) {
        tenants.joined(wait.tenant(), waiting(), Schedule.millis(wait.since()));
        waits.add(wait);
    }

    void leave(Wait wait) {
        waits.remove(wait);
        tenants.left(wait.tenant(), waiting());
    }

    /** Returns the tenant of each waiting job. */
    List<String> waiting() {
        return waits.stream().map(Wait::tenant).toList();
    }

    /** The waits that end because their tenant is at a limit. */
    List<String> limited(long now) {
        List<Wait> limited = waits.stream()
                .filter(wait -> !wait.holdsSlot()
                        && !tenants.mayStart(wait.tenant(), Schedule.millis(now))
                        && wait.since() + PARK <= now
                        && !stays(wait, now))
                .toList();
        limited.forEach(this::leave);
        return limited.stream().map(wait -> wait.turn() + ":limit").toList();
    }

    private static boolean stays(Wait wait, long now) {
        return wait.deferredRecord()
                && wait.end() - now <= Duration.ofSeconds(5).toNanos();
    }

    /** The waits that end by time alone: those that are over, then those whose nodes are down. */
    List<String> ends(long now) {
        List<Wait> late = waits.stream()
                .filter(wait -> wait.end() <= now)
                .sorted(Comparator.comparingLong(Wait::end).thenComparingLong(Wait::turn))
                .toList();
        late.forEach(this::leave);
        List<Wait> down = waits.stream()
                .filter(wait -> isDown(wait, now))
                .sorted(Comparator.comparingLong(Wait::turn))
                .toList();
        down.forEach(this::leave);
        List<String> all = new ArrayList<>();
        late.forEach(wait -> all.add(wait.turn() + ":late"));
        down.forEach(wait -> all.add(wait.turn() + ":down"));
        return all;
    }

    private boolean isDown(Wait wait, long now) {
        List<String> candidates = candidates(wait.key());
        boolean othersUp = nodes.values().stream().anyMatch(node -> node.state == Node.State.UP);
        boolean allDown = candidates.stream().allMatch(node -> node(node).state == Node.State.DOWN);
        long since =
                candidates.stream().mapToLong(node -> node(node).since).max().orElse(wait.since());
        return othersUp && allDown && since + PARK <= now && !stays(wait, now);
    }

    boolean mayStart(Wait wait, long now) {
        return wait.holdsSlot()
                || (free > 0
                        && topicSlots.getOrDefault(wait.topic(), 1) > 0
                        && tenants.mayStart(wait.tenant(), Schedule.millis(now)));
    }

    /** Whether a wait can go now. */
    boolean canGo(Wait wait, long now) {
        return mayStart(wait, now)
                && candidates(wait.key()).stream()
                        .anyMatch(node -> node(node).hasRoom() && (wait.isFresh(node) || wait.isAgain(node, now)));
    }

    private @Nullable Wait first(long now) {
        List<Wait> able = waits.stream()
                .filter(wait -> canGo(wait, now))
                .sorted(Comparator.comparing(Wait::priority)
                        .thenComparing(tenants::compare)
                        .thenComparingLong(Wait::due)
                        .thenComparingLong(Wait::turn))
                .toList();
        if (lowCredit >= 1 && free > 0) {
            Wait low = able.stream()
                    .filter(wait -> wait.priority() == Priority.LOW)
                    .findFirst()
                    .orElse(null);
            if (low != null) {
                return low;
            }
        }
        return able.isEmpty() ? null : able.getFirst();
    }

    private String grant(Wait wait, long now) {
        String fresh = leastLoaded(wait, wait::isFresh);
        String node =
                Objects.requireNonNull(fresh == null ? leastLoaded(wait, name -> wait.isAgain(name, now)) : fresh);
        node(node).inFlight++;
        tenants.granted(wait, Schedule.millis(now));
        leave(wait);
        starts.add(Map.entry(wait.key(), now));
        if (!wait.holdsSlot()) {
            free--;
            topicSlots.computeIfPresent(wait.topic(), (_, left) -> left - 1);
            if (wait.priority() == Priority.LOW) {
                lowCredit = Math.max(0, lowCredit - 1);
            } else if (waits.stream().anyMatch(other -> other.priority() == Priority.LOW)) {
                lowCredit = Math.min(1, lowCredit + lowShare / (1 - lowShare));
            }
        }
        return wait.turn() + "@" + node;
    }

    private @Nullable String leastLoaded(Wait wait, Predicate<String> allowed) {
        return candidates(wait.key()).stream()
                .filter(name -> node(name).hasRoom() && allowed.test(name))
                .min(Comparator.comparingDouble(name -> (double) node(name).inFlight / node(name).limit))
                .orElse(null);
    }

    private List<String> relieve(long now) {
        List<String> relieved = new ArrayList<>();
        if (free <= 0) {
            return relieved;
        }
        while (true) {
            Wait wait = topicSlots.keySet().stream()
                    .filter(topic -> topicSlots.getOrDefault(topic, 1) <= 0)
                    .flatMap(topic ->
                            lastImpatient(
                                    other -> other.deferredRecord()
                                            && other.topic().equals(topic),
                                    now)
                                    .stream())
                    .findFirst()
                    .orElseGet(() -> lastOfFullest(now));
            if (wait == null) {
                return relieved;
            }
            leave(wait);
            relieved.add(wait.turn() + ":full");
        }
    }

    private List<Wait> lastImpatient(Predicate<Wait> which, long now) {
        return waits.stream()
                .filter(which)
                .filter(wait -> !wait.holdsSlot()
                        && now - wait.since()
                                >= Duration.ofMillis(wait.deferredRecord() ? 5_000 : 300)
                                        .toNanos())
                .max(Comparator.comparing(Wait::priority).thenComparingLong(Wait::turn))
                .stream()
                .toList();
    }

    private @Nullable Wait lastOfFullest(long now) {
        if (nodes.values().stream().noneMatch(FakeNode::hasRoom)) {
            return null;
        }
        Set<RouteKey> full = waits.stream()
                .filter(wait -> mayStart(wait, now) && wait.avoidsNothing())
                .map(Wait::key)
                .collect(Collectors.toSet());
        Map<Wait, Integer> tooMany = new HashMap<>();
        for (RouteKey key : full) {
            int recent = (int) starts.stream()
                    .filter(start -> start.getKey().equals(key)
                            && start.getValue() >= now - Duration.ofSeconds(6).toNanos())
                    .count();
            int count =
                    (int) waits.stream().filter(wait -> wait.key().equals(key)).count()
                            - Math.max(crowded.isEmpty() ? kept : 1, recent);
            if (count > 0) {
                lastImpatient(wait -> wait.key().equals(key), now).forEach(wait -> tooMany.put(wait, count));
            }
        }
        return tooMany.keySet().stream()
                .max(Comparator.comparing((Wait wait) -> tooMany.getOrDefault(wait, 0))
                        .thenComparing(Wait::priority)
                        .thenComparingLong(Wait::turn))
                .orElse(null);
    }
}
