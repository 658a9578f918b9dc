package dev.penstock.chaos;

import dev.penstock.testkit.BrokerProcess;
import dev.penstock.testkit.ManagementBeans;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.Vitals;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.LongToIntFunction;
import org.apache.kafka.clients.admin.Admin;

/**
 * Runs two replicas under a steady load without faults, and takes samples. It exits with 1 if a figure grows
 * steadily, or if the checker finds a violation.
 *
 * <p>Arguments: the minutes to run, the jobs a second, the seed of the load, and how the replicas take jobs: own, kafka
 * or mixed.
 */
public final class Soak implements AutoCloseable {
    private static final int REPLICAS = 2;
    private static final int LEAST_SAMPLES = 20;
    private static final Duration RECOVERY = Duration.ofMinutes(5);
    private static final String SESSIONS = "kafka.server:type=ShareSessionCache,name=ShareSessionsCount";

    private final Installation installation;
    private final Admin admin;
    private final ManagementBeans broker;
    private final List<ManagementBeans> heaps = new ArrayList<>();
    private final Map<Figure, Trend> trends = new LinkedHashMap<>();

    /** What is sampled, and how much it may grow. Figures of replicas are sums. */
    private enum Figure {
        SHARE_SESSIONS("share sessions", 0),
        LAG("lag", 50),
        WINDOW("fullest window, %", 10),
        THREADS("threads", 8),
        SOCKETS("sockets", 12),
        RESIDENT("resident MB", 60),
        LIVE_HEAP("live heap MB", 16);

        private final String text;
        private final double allowance;

        Figure(String text, double allowance) {
            this.text = text;
            this.allowance = allowance;
        }
    }

    private Soak(Installation installation) {
        this.installation = installation;
        BrokerProcess process = installation.broker();
        admin = process.admin();
        broker = ManagementBeans.of(process.pid());
        for (Figure figure : Figure.values()) {
            trends.put(figure, new Trend(figure.text, figure.allowance));
        }
        if (isJvm()) {
            installation.replicas().forEach(replica -> heaps.add(ManagementBeans.of(replica.pid())));
        } else {
            trends.remove(Figure.LIVE_HEAP);
        }
    }

    private static boolean isJvm() {
        return PenstockProcess.isJar(PenstockProcess.defaultExecutable());
    }

    public static void main(String... args) throws InterruptedException {
        System.setProperty("java.util.logging.manager", "org.jboss.logmanager.LogManager");
        int minutes = args.length > 0 ? Integer.parseInt(args[0]) : 60;
        int rate = args.length > 1 ? Integer.parseInt(args[1]) : 20;
        long seed = args.length > 2 && !args[2].isBlank() ? Long.parseLong(args[2]) : System.currentTimeMillis();
        Installation.Intake intake = Installation.Intake.of(args.length > 3 ? args[3] : "");
        if (intake == Installation.Intake.CLASSIC) {
            throw new IllegalArgumentException("the samples are figures of share groups");
        }
        System.out.printf(Locale.ROOT, "soak for %d min, %d jobs/s, INTAKE=%s SEED=%d%n", minutes, rate, intake, seed);

        // with all of the heap touched at the start, resident memory grows only outside of it
        List<String> heap = isJvm() ? List.of("-Xms384m", "-Xmx384m", "-XX:+AlwaysPreTouch") : List.of("-Xmx384m");
        List<String> failures = new ArrayList<>();
        try (Installation installation = Installation.start(new Installation.Shape(REPLICAS, intake, heap));
                ReplyLog replies = ReplyLog.follow(installation.bootstrap());
                Soak soak = new Soak(installation);
                Load load = Load.start(installation, seed, 1_000 / rate)) {
            soak.sample(Duration.ofMinutes(minutes));
            load.stop();
            installation.heal();
            System.out.println("load: " + load);
            Checker checker = new Checker(installation, load, replies);
            failures.addAll(checker.check(RECOVERY));
            System.out.println(checker);
            soak.awaitNoLag(failures);
            soak.trends.values().forEach(trend -> {
                System.out.println(trend);
                if (trend.growsSteadily()) {
                    failures.add("grows steadily: " + trend);
                }
            });
        }
        failures.stream().limit(20).forEach(failure -> System.out.println("FAILURE " + failure));
        System.out.printf(Locale.ROOT, "INTAKE=%s SEED=%d: %d failures%n", intake, seed, failures.size());
        System.exit(failures.isEmpty() ? 0 : 1);
    }

    /** Once a minute; in a short run, often enough for a trend. */
    private void sample(Duration length) throws InterruptedException {
        long pause = Math.min(TimeUnit.MINUTES.toNanos(1), length.toNanos() / LEAST_SAMPLES);
        long start = System.nanoTime();
        System.out.printf("%7s", "minute");
        trends.keySet().forEach(figure -> System.out.printf("  %s", figure.text));
        System.out.println();
        for (long next = pause; next <= length.toNanos(); next += pause) {
            TimeUnit.NANOSECONDS.sleep(start + next - System.nanoTime());
            System.out.printf(Locale.ROOT, "%7.1f", next / 6e10);
            for (Map.Entry<Figure, Trend> entry : trends.entrySet()) {
                double value = value(entry.getKey());
                entry.getValue().add(value);
                System.out.printf(Locale.ROOT, "  %" + entry.getKey().text.length() + ".0f", value);
            }
            System.out.println();
        }
    }

    private double value(Figure figure) throws InterruptedException {
        return switch (figure) {
            case SHARE_SESSIONS -> broker.gauge(SESSIONS);
            case LAG -> lag();
            case WINDOW -> 100 * window();
            case THREADS -> sum(pid -> Vitals.of(pid).threads());
            case SOCKETS -> sum(Vitals::sockets);
            case RESIDENT -> sum(pid -> Vitals.of(pid).residentMegabytes());
            case LIVE_HEAP ->
                heaps.stream().mapToLong(ManagementBeans::liveHeap).sum() / 1e6;
        };
    }

    /** @param figure the figure of one replica, by its process id */
    private double sum(LongToIntFunction figure) {
        return installation.replicas().stream()
                .mapToInt(replica -> figure.applyAsInt(replica.pid()))
                .sum();
    }

    private long lag() throws InterruptedException {
        long lag = 0;
        for (String topic : Load.TOPICS) {
            lag += ShareLag.of(admin, "penstock." + topic);
        }
        return lag;
    }

    private double window() throws InterruptedException {
        double fullest = 0;
        for (PenstockProcess replica : installation.replicas()) {
            fullest = Math.max(
                    fullest,
                    Metrics.text(replica)
                            .lines()
                            .filter(line -> line.startsWith("penstock_intake_window_used{"))
                            .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                            .max()
                            .orElse(0));
        }
        return fullest;
    }

    private void awaitNoLag(List<String> failures) throws InterruptedException {
        for (String topic : Load.TOPICS) {
            try {
                ShareLag.awaitNone(admin, "penstock." + topic, RECOVERY);
            } catch (AssertionError e) {
                failures.add(String.valueOf(e.getMessage()));
            }
        }
    }

    @Override
    public void close() {
        heaps.forEach(ManagementBeans::close);
        broker.close();
        admin.close();
    }
}
