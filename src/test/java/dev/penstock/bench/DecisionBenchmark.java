package dev.penstock.bench;

import dev.penstock.job.PromptJob;
import dev.penstock.node.FakeNodes;
import dev.penstock.route.RouteKey;
import dev.penstock.route.match.Decision;
import dev.penstock.route.match.Rules;
import dev.penstock.route.match.TestJobs;
import dev.penstock.schedule.PlacedJobs;
import dev.penstock.settings.Conditions.Source;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.YamlSettings;
import java.time.Clock;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The decision where a job runs, with 50 rules and 100 nodes in 10 pools: from the job to its rule, and on to its node. The
 * last rule matches, so all others are tried. With {@code reading}, a rule also asks what the prompt looks like, and the
 * classifier reads 4,096 characters.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 6, time = 2)
@Fork(1)
public class DecisionBenchmark {
    private static final int RULES = 50;
    private static final int NODES = 100;
    private static final int POOLS = 10;

    private final Rules rules;
    private final Rules readingRules;
    private final PlacedJobs placed;
    private final PromptJob job = TestJobs.of(
            "{'model':'llama-70b','metadata':{'tier':'bronze','team':'search'},'messages':[{'role':'user','content':'%s'}]}"
                    .formatted("What is the reason for this, and how does it work? ".repeat(100)));

    public DecisionBenchmark() {
        Settings settings = YamlSettings.of(yaml("min-prompt-tokens: 100000"));
        FakeNodes nodes = new FakeNodes(settings, Clock.systemUTC());
        for (int i = 0; i < NODES; i++) {
            nodes.server("node-" + i).up("llama-70b", "llama-8b");
        }
        rules = new Rules(settings);
        readingRules = new Rules(YamlSettings.of(yaml("has: [code, reasoning], language: fr")));
        placed = new PlacedJobs(settings, nodes);
    }

    private static String yaml(String asking) {
        StringBuilder yaml = new StringBuilder("penstock:\n  nodes:\n");
        for (int i = 0; i < NODES; i++) {
            yaml.append("    node-%d: {backend: vllm, url: \"http://127.0.0.1:1\", pool: pool-%d}\n"
                    .formatted(i, i % POOLS));
        }
        yaml.append("  routes:\n");
        for (int i = 0; i < RULES - 1; i++) {
            String when = switch (i % 5) {
                case 0 -> "model: \"*model-%d*\"".formatted(i);
                case 1 -> "task: chat, metadata: {tier: gold-%d}".formatted(i);
                case 2 -> "priority: high, task: [chat, completion]";
                case 3 -> "task: embeddings, model: \"embed-%d*\"".formatted(i);
                default -> asking;
            };
            yaml.append("    - {name: rule-%d, when: {%s}, to: [pool-%d]}\n".formatted(i, when, i % POOLS));
        }
        return yaml.append("    - {name: last, to: [{split: {pool-1: 50, pool-2: 50}}, pool-3]}\n")
                .toString();
    }

    @Benchmark
    public String decision() {
        return placed.node(key(rules));
    }

    @Benchmark
    public String decisionReading() {
        return placed.node(key(readingRules));
    }

    private RouteKey key(Rules by) {
        Decision decision = by.decide(job, "prompt-jobs", Source.KAFKA);
        return RouteKey.of(job, decision);
    }
}
