package dev.penstock.chaos;

import dev.penstock.testkit.ReplyLog;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Runs three replicas, a broker, a database and two nodes under load. Every few seconds it injects a fault into one
 * of them. At the end it lets everything recover, and checks the topics and the ledger. It exits with 1 if a property
 * does not hold.
 *
 * <p>Arguments: the seconds to run, the seed, and how the replicas take jobs: own, kafka, classic or mixed. The seed
 * decides the load and the faults, but not their interleaving.
 */
public final class Chaos {
    private static final Duration RECOVERY = Duration.ofMinutes(5);
    private static final int REPLICAS = 3;
    private static final int MEAN_PAUSE_MILLIS = 30;
    private static final int FIRST_FAULT_AFTER_MILLIS = 5_000;

    private Chaos() {}

    public static void main(String... args) throws InterruptedException {
        System.setProperty("java.util.logging.manager", "org.jboss.logmanager.LogManager");
        // clients of a killed broker log a lot
        Logger kafka = Logger.getLogger("org.apache.kafka");
        kafka.setLevel(Level.OFF);
        int seconds = args.length > 0 ? Integer.parseInt(args[0]) : 180;
        long seed = args.length > 1 && !args[1].isBlank() ? Long.parseLong(args[1]) : System.currentTimeMillis();
        Installation.Intake intake = Installation.Intake.of(args.length > 2 ? args[2] : "");
        System.out.printf(Locale.ROOT, "chaos for %d s, INTAKE=%s SEED=%d%n", seconds, intake, seed);

        List<String> violations;
        try (Installation installation =
                        Installation.start(new Installation.Shape(REPLICAS, intake, List.of("-Xmx384m")));
                ReplyLog replies = ReplyLog.follow(installation.bootstrap());
                Load load = Load.start(installation, seed, MEAN_PAUSE_MILLIS)) {
            Faults faults = new Faults(installation, seed + 1);
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
            TimeUnit.MILLISECONDS.sleep(FIRST_FAULT_AFTER_MILLIS);
            while (System.nanoTime() < end) {
                faults.next();
            }
            load.stop();
            installation.heal();
            System.out.printf(Locale.ROOT, "faults: %s%nload: %s%n", faults, load);
            Checker checker = new Checker(installation, load, replies);
            violations = checker.check(RECOVERY);
            System.out.println(checker);
        }
        violations.stream().limit(20).forEach(violation -> System.out.println("VIOLATION " + violation));
        System.out.printf(Locale.ROOT, "INTAKE=%s SEED=%d: %d violations%n", intake, seed, violations.size());
        System.exit(violations.isEmpty() ? 0 : 1);
    }
}
