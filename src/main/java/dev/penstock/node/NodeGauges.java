package dev.penstock.node;

import dev.penstock.wire.record.Pauses;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The gauges and counters of each node. Not thread-safe. */
final class NodeGauges {
    private final MeterRegistry meters;
    private final Map<String, List<Meter>> gauges = new TreeMap<>();
    private final MultiGauge paused;

    NodeGauges(MeterRegistry meters) {
        this.meters = meters;
        paused = MultiGauge.builder("penstock.paused").register(meters);
    }

    void add(Node node) {
        gauges.put(
                node.name(),
                List.of(
                        Gauge.builder("penstock.jobs.in.flight", node, Node::inFlight)
                                .tag("node", node.name())
                                .register(meters),
                        Gauge.builder("penstock.calls.in.flight", node.requests(), RequestsInFlight::calls)
                                .tag("node", node.name())
                                .register(meters),
                        Gauge.builder("penstock.node.slots", node, Node::limit)
                                .tag("node", node.name())
                                .register(meters),
                        Gauge.builder(
                                        "penstock.node.up",
                                        node,
                                        up -> up.health().state() == Node.State.UP ? 1 : 0)
                                .tag("node", node.name())
                                .register(meters),
                        FunctionCounter.builder("penstock.model.swaps", node, one ->
                                        (double) one.pace().swaps())
                                .tag("node", node.name())
                                .register(meters),
                        Gauge.builder("penstock.node.breaker", node.requests(), RequestsInFlight::breakerLevel)
                                .tag("node", node.name())
                                .register(meters),
                        Gauge.builder(
                                        "penstock.node.load.seconds",
                                        node.requests(),
                                        requests -> requests.load().seconds())
                                .tag("node", node.name())
                                .register(meters)));
    }

    void paused(Pauses now) {
        paused.register(
                now.all().stream()
                        .map(pause ->
                                MultiGauge.Row.of(Tags.of("kind", pause.kind().wireName(), "name", pause.name()), 1))
                        .toList(),
                true);
    }

    void remove(String name) {
        gauges.getOrDefault(name, List.of()).forEach(meters::remove);
    }
}
