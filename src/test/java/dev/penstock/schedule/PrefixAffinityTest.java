package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.route.StableHash;
import dev.penstock.route.balance.LeastLoad;
import dev.penstock.route.balance.PrefixAffinity;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Prompts that begin alike at servers that keep the beginnings of their last prompts. */
class PrefixAffinityTest {
    private static final Map<String, Double> SERVERS = Map.of("a", 8_000.0, "b", 8_000.0, "c", 8_000.0, "d", 8_000.0);
    private static final int JOBS = 20_000;
    private static final int PREFIXES = 160;
    /** A server keeps a little more than its fourth of the beginnings. */
    private static final int CACHE = 60;

    private static final long PREFIX_TOKENS = 1_000;
    private static final long OWN_TOKENS = 400;
    /** The part of all servers' time that the prompts need if every beginning is in a cache. */
    private static final double USE = 0.25;

    private static List<PoolSimulation.Job> jobs() {
        SplittableRandom chance = new SplittableRandom(5);
        List<PoolSimulation.Job> jobs = new ArrayList<>();
        double at = 0;
        for (int i = 0; i < JOBS; i++) {
            at += -Math.log(1 - chance.nextDouble()) * OWN_TOKENS / (USE * 4 * 8_000.0) * 1_000;
            // few beginnings are frequent
            int prefix = (int) (PREFIXES * Math.pow(chance.nextDouble(), 1.3));
            long answer = 1 + Math.round(-Math.log(1 - chance.nextDouble()) * 100);
            jobs.add(new PoolSimulation.Job(Math.round(at), prefix, PREFIX_TOKENS, OWN_TOKENS, answer));
        }
        return jobs;
    }

    private static PoolSimulation servers() {
        return new PoolSimulation(SERVERS, CACHE, load -> load);
    }

    /** Gives each beginning to one server, so that all servers have equally many jobs. It knows all jobs beforehand. */
    private static Map<Long, String> ideal(List<PoolSimulation.Job> jobs) {
        Map<Long, Long> counts = new HashMap<>();
        jobs.forEach(job -> counts.merge(job.prefix(), 1L, Long::sum));
        Map<String, Long> given = new TreeMap<>();
        SERVERS.keySet().forEach(server -> given.put(server, 0L));
        Map<Long, String> ideal = new HashMap<>();
        counts.entrySet().stream()
                .sorted(Map.Entry.<Long, Long>comparingByValue().reversed())
                .forEach(prefix -> {
                    String least = given.entrySet().stream()
                            .min(Comparator.comparingLong(Map.Entry::getValue))
                            .orElseThrow()
                            .getKey();
                    given.merge(least, prefix.getValue(), Long::sum);
                    ideal.put(prefix.getKey(), least);
                });
        return ideal;
    }

    @Test
    void the_hit_rate_is_at_least_nine_tenths_of_the_ideal_one_and_no_node_has_over_one_and_a_quarter_of_the_mean() {
        List<PoolSimulation.Job> jobs = jobs();
        Map<Long, String> best = ideal(jobs);
        PoolSimulation ideal = servers().playAt(jobs, (job, _) -> best.getOrDefault(job.prefix(), ""));
        PoolSimulation affinity =
                servers().play(jobs, job -> new PrefixAffinity(StableHash.of(Long.toString(job.prefix())), 1.25));
        PoolSimulation leastLoad = servers().play(jobs, _ -> new LeastLoad());
        SplittableRandom chance = new SplittableRandom(9);
        PoolSimulation random = servers()
                .playAt(
                        jobs,
                        (_, options) -> options.get(chance.nextInt(options.size()))
                                .candidate()
                                .node());

        Map<String, PoolSimulation> all = new TreeMap<>(
                Map.of("ideal", ideal, "prefix-affinity", affinity, "least-load", leastLoad, "random", random));
        all.forEach((name, played) -> System.out.printf(
                "20,000 jobs with 160 beginnings at four nodes, %s: hit rate %.3f, most jobs at a node %.2f x the mean, most tokens read %.2f x, to the first token p50 %d ms, p95 %d ms%n",
                name,
                played.hitRate(),
                played.mostJobs(),
                played.mostRead(),
                played.millisToFirstToken(0.5),
                played.millisToFirstToken(0.95)));
        assertThat(affinity.hitRate()).isGreaterThanOrEqualTo(0.9 * ideal.hitRate());
        assertThat(affinity.mostJobs()).isLessThanOrEqualTo(1.25);
        assertThat(affinity.millisToFirstToken(0.95))
                .isLessThan(leastLoad.millisToFirstToken(0.95))
                .isLessThan(random.millisToFirstToken(0.95));
    }
}
