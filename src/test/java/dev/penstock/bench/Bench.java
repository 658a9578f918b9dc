package dev.penstock.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Measures in rounds that alternate between the compared programs. This process only produces and consumes. Each
 * program that does the work is a process of its own, and ends with this one.
 */
public final class Bench {
    private Bench() {}

    public static void main(String... args) throws InterruptedException, IOException {
        System.setProperty("java.util.logging.manager", "org.jboss.logmanager.LogManager");
        Logger kafka = Logger.getLogger("org.apache.kafka");
        kafka.setLevel(Level.WARNING);
        Options options;
        try {
            options = Options.parse(args);
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage());
            System.err.print(Options.USAGE);
            System.exit(2);
            return;
        }
        long begun = System.nanoTime();
        System.out.printf(
                Locale.ROOT,
                "JDK %s, %d cores, load %.1f%n",
                Runtime.version(),
                Runtime.getRuntime().availableProcessors(),
                Report.load());
        for (String lane : options.lanes()) {
            switch (lane) {
                case "kafka" -> KafkaLane.run(options);
                case "streams" -> StreamsLane.run(options);
                case "trickle" -> TrickleLane.run(options);
                case "replicas" -> ReplicasLane.run(options);
                case "shapes" -> ShapesLane.run(options);
                case "replies" -> RepliesLane.run(options);
                case "programs" -> ProgramsLane.run(options);
                case "grants" -> GrantsLane.run(options);
                case "jmh" -> JmhLane.run(options);
                default -> throw new IllegalArgumentException(lane);
            }
        }
        System.out.printf(Locale.ROOT, "%n%.0f s in all%n", (System.nanoTime() - begun) / 1e9);
    }

    /** Prints a line between the tables, so that a long run shows its progress. */
    static void progress(String line) {
        System.out.println("  " + line);
    }

    static void wrote(Path file) {
        System.out.printf("%nevery sample: %s%n", file);
    }
}
