package dev.penstock.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The options of a measurement.
 *
 * @param variants programs and share clients of the lanes kafka, streams, trickle, replicas and programs
 * @param rounds the number of rounds that count; empty for the lane's default
 * @param warmUp instant jobs for each program before its first round; they do not count
 * @param jobs the jobs in a round of instant jobs; empty for the lane's default
 * @param streams the numbers of streams at once
 * @param waves the waves of streams in a round, for each program
 * @param seconds how long a round of the lane {@code trickle} takes
 * @param bursts the bursts for two replicas in a round
 * @param size the size of the parts of {@code shapes}, as a share of the usual number of jobs
 * @param shapes consumers and batch of the intake
 * @param parts the parts of {@code shapes}: a, b, c, d
 * @param ledgers kinds of ledger for the lane {@code kafka}, one after the other
 * @param intake overrides for the lanes {@code kafka} and {@code streams}: keys of Penstock
 * @param sticky true: a producer's own partitioner places the jobs; false: each partition in turn
 */
record Options(
        Set<String> lanes,
        List<Variant> variants,
        OptionalInt rounds,
        int warmUp,
        OptionalInt jobs,
        List<Integer> streams,
        int waves,
        int seconds,
        int bursts,
        double size,
        List<Shape> shapes,
        Set<String> parts,
        List<String> ledgers,
        Map<String, String> intake,
        boolean sticky) {
    static final String USAGE = """
            usage: Bench [kafka] [streams] [trickle] [replicas] [programs] [shapes] [replies] [grants] [jmh]
              --program jar,native   the programs (both; a missing one is left out)
              --share-client own,kafka  the share clients of these programs (own)
              --rounds N             rounds that count (5; trickle: 2; replicas, shapes: 1; grants: of 2 s; jmh: of 1 s)
              --warm-up N            instant jobs for each program before its first round; they do not count (6000)
              --jobs N               instant jobs of a round (kafka, programs: 10000; shapes: 20000)
              --streams 8,64         streams at once (8,64,256,1000)
              --waves N              waves of streams in a round (3; from 256 streams on: 1)
              --seconds N            of a round of trickle, for each program (40)
              --bursts N             of replicas, and of part d of shapes, in a round (5)
              --shapes 16x16,8x32    consumers x batch (64x4,32x8,16x16,8x32,4x64)
              --parts a,b,c,d        of shapes: mixed jobs, one partition, instant jobs, two replicas (all)
              --size X               of parts a, b and d, as a share of the usual number of jobs (1)
              --consumers N          the intake's, in kafka and streams, with share client kafka (Penstock's default)
              --batch N              the intake's, in kafka and streams, with share client kafka (Penstock's default)
              --ledger a,b           of kafka: kinds of ledger, one after the other (none,sqlite,postgresql)
              --spread even|sticky   jobs go to each partition in turn, or where a default producer puts them (even)
            """;

    private static final Set<String> LANES =
            Set.of("kafka", "streams", "trickle", "replicas", "shapes", "programs", "replies", "grants", "jmh");

    private static final Map<String, String> DEFAULTS = Map.ofEntries(
            Map.entry("program", "jar,native"),
            Map.entry("share-client", "own"),
            Map.entry("warm-up", "6000"),
            Map.entry("streams", "8,64,256,1000"),
            Map.entry("waves", "3"),
            Map.entry("seconds", "40"),
            Map.entry("bursts", "5"),
            Map.entry("size", "1"),
            Map.entry("shapes", "64x4,32x8,16x16,8x32,4x64"),
            Map.entry("parts", "a,b,c,d"),
            Map.entry("ledger", "none,sqlite,postgresql"),
            Map.entry("spread", "even"));

    Options {
        variants = List.copyOf(variants);
        streams = List.copyOf(streams);
        shapes = List.copyOf(shapes);
        ledgers = List.copyOf(ledgers);
        intake = Map.copyOf(intake);
    }

    /** Consumers of a topic, and the records that each takes at once. */
    record Shape(int consumers, int batch) {
        static Shape parse(String text) {
            String[] both = text.split("x", -1);
            if (both.length != 2) {
                throw new IllegalArgumentException("a shape is CONSUMERSxBATCH, not " + text);
            }
            return new Shape(Integer.parseInt(both[0]), Integer.parseInt(both[1]));
        }

        Map<String, String> config() {
            return Map.of(
                    "penstock.intake.share-client",
                    "kafka",
                    "penstock.intake.consumers",
                    Integer.toString(consumers),
                    "penstock.intake.batch",
                    Integer.toString(batch),
                    "penstock.ledger.kind",
                    "none");
        }

        @Override
        public String toString() {
            return consumers + "x" + batch;
        }
    }

    /** @throws IllegalArgumentException with the mistake */
    static Options parse(String... arguments) {
        Set<String> lanes = new LinkedHashSet<>();
        Map<String, String> given = new LinkedHashMap<>(DEFAULTS);
        Set<String> known = new LinkedHashSet<>(given.keySet());
        known.addAll(List.of("rounds", "jobs", "consumers", "batch"));
        for (int i = 0; i < arguments.length; i++) {
            String argument = arguments[i];
            if (LANES.contains(argument)) {
                lanes.add(argument);
            } else if (argument.startsWith("--") && known.contains(argument.substring(2)) && i + 1 < arguments.length) {
                given.put(argument.substring(2), arguments[++i]);
            } else {
                throw new IllegalArgumentException("not understood: " + argument);
            }
        }
        return new Options(
                lanes.isEmpty() ? new LinkedHashSet<>(List.of("kafka", "streams")) : lanes,
                Variant.all(list(given, "program"), list(given, "share-client")),
                number(given, "rounds"),
                number(given, "warm-up").orElseThrow(),
                number(given, "jobs"),
                list(given, "streams").stream().map(Integer::valueOf).toList(),
                number(given, "waves").orElseThrow(),
                number(given, "seconds").orElseThrow(),
                number(given, "bursts").orElseThrow(),
                Double.parseDouble(text(given, "size")),
                list(given, "shapes").stream().map(Shape::parse).toList(),
                new LinkedHashSet<>(list(given, "parts")),
                list(given, "ledger"),
                intake(given),
                text(given, "spread").equals("sticky"));
    }

    private static Map<String, String> intake(Map<String, String> given) {
        Map<String, String> intake = new LinkedHashMap<>();
        for (String key : List.of("consumers", "batch")) {
            if (given.containsKey(key)) {
                intake.put("penstock.intake." + key, text(given, key));
            }
        }
        return intake;
    }

    private static String text(Map<String, String> given, String key) {
        return given.getOrDefault(key, "");
    }

    private static List<String> list(Map<String, String> given, String key) {
        return new ArrayList<>(Arrays.asList(text(given, key).split(",", -1)));
    }

    private static OptionalInt number(Map<String, String> given, String key) {
        String value = text(given, key);
        return value.isEmpty() ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(value));
    }

    Work.Where where() {
        return sticky ? Work.Where.STICKY : Work.Where.EVEN;
    }

    String spread() {
        return sticky ? "a default producer's partitions" : "each partition in turn";
    }
}
