package dev.penstock.demo;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.BrokerProcess;
import dev.penstock.testkit.PenstockProcess;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ExecutionException;

/** Starts everything, sends one job over Kafka and one over REST, and keeps running. With {@code --once} it ends. */
public final class Demo {
    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final String PROMPT = "In one sentence: what is a penstock?";

    private final PrintStream out;

    private Demo(PrintStream out) {
        this.out = out;
    }

    public static void main(String... args) {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        int status = 1;
        try {
            status = new Demo(out).run(List.of(args).contains("--once")) ? 0 : 1;
        } catch (IllegalStateException | IOException | ExecutionException e) {
            out.println("\nThe demo failed: " + e.getMessage());
        } catch (InterruptedException _) {
            out.println("\nThe demo was interrupted.");
        }
        System.exit(status); // all children end with it
    }

    private boolean run(boolean once) throws IOException, InterruptedException, ExecutionException {
        String program = PenstockProcess.defaultExecutable().getFileName().toString();
        out.println("Penstock demo (" + program + "): a broker, a model server, Penstock");
        if (program.endsWith(".jar")) {
            out.printf("  %-13s %8s   %s%n", "JDK", "", System.getProperty("java.home"));
        }
        long start = System.nanoTime();
        try (BrokerProcess broker = BrokerProcess.start(free(9092))) {
            start = phase("broker", "Kafka at " + broker.bootstrap(), start);
            try (ModelServer models = ModelServer.findOrStart()) {
                start = phase("model server", models.title() + ", at " + models.url(), start);
                if (models.isFound()) {
                    out.printf(
                            "  %-13s %8s   it is yours: the demo uses it with its model %s, and does not stop it%n",
                            "", "", models.model());
                }
                try (PenstockProcess penstock = start(broker, models)) {
                    phase(
                            "Penstock",
                            "%s, health and metrics at %s".formatted(penstock.url(), penstock.managementUrl()),
                            start);
                    boolean good = jobs(broker, models, penstock);
                    if (good && !once) {
                        new NextSteps(out, penstock, broker, models).print();
                        awaitEnd(penstock);
                        return false;
                    }
                    return good;
                }
            }
        }
    }

    /** Waits for Ctrl-C, or for the end of Penstock. */
    private void awaitEnd(PenstockProcess penstock) throws InterruptedException {
        int status = penstock.process().awaitExit(Duration.ofDays(365)).orElse(0);
        boolean bySignal = status == 128 + 2 || status == 128 + 15;
        if (!bySignal) {
            out.printf(
                    "Penstock ended with status %d; its output: %s%n",
                    status, penstock.process().outputFile());
        }
    }

    private static PenstockProcess start(BrokerProcess broker, ModelServer models) throws InterruptedException {
        PenstockProcess.Builder builder =
                PenstockProcess.with(broker.bootstrap()).ports(free(8080), free(9000));
        models.environment().forEach(builder::environment);
        return builder.startReady();
    }

    private boolean jobs(BrokerProcess broker, ModelServer models, PenstockProcess penstock)
            throws IOException, InterruptedException, ExecutionException {
        String run = Long.toString(System.currentTimeMillis(), 36);
        out.printf("%nOver Kafka: a record to prompt-jobs, its events from prompt-replies. \"%s\"%n  ", PROMPT);
        String id = "demo-kafka-" + run;
        Reply overKafka = KafkaJob.run(broker.bootstrap(), id, document(id, models), out, PATIENCE);
        boolean good = report("Kafka job", overKafka, penstock);

        out.printf("%nOver REST: POST /v1/jobs, its events as server-sent events. \"%s\"%n  ", PROMPT);
        Reply overRest = RestJob.run(penstock.url(), document("demo-rest-" + run, models), out, PATIENCE);
        return report("REST job", overRest, penstock) && good;
    }

    private static String document(String id, ModelServer models) {
        ObjectNode job = JsonNodeFactory.instance.objectNode();
        job.put("model", models.model());
        job.putArray("messages").addObject().put("role", "user").put("content", PROMPT);
        job.put("max_tokens", 100);
        job.putObject("job").put("id", id);
        return job.toString();
    }

    private boolean report(String name, Reply reply, PenstockProcess penstock) {
        out.println();
        Optional<String> mistake = reply.mistake();
        if (mistake.isPresent()) {
            out.printf("  %s FAILED: %s%n", name, mistake.get());
            out.println("  Penstock's output: " + penstock.process().outputFile());
            return false;
        }
        String times = "first token %s s, whole %s s"
                .formatted(
                        seconds(reply.firstToken().orElseThrow()),
                        seconds(reply.whole().orElseThrow()));
        out.printf("  %s: %s; %s%n", name, times, reply.summary());
        return true;
    }

    /** Prints the time of a phase, and begins the next. */
    private long phase(String name, String what, long start) {
        long now = System.nanoTime();
        out.printf("  %-13s %6s s   %s%n", name, seconds(Duration.ofNanos(now - start)), what);
        return now;
    }

    private static String seconds(Duration duration) {
        return String.format(Locale.ROOT, "%.2f", duration.toNanos() / 1e9);
    }

    /** Returns the wanted port if it is free, else another. */
    private static int free(int wanted) {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), wanted), 500);
            return Broker.freePort();
        } catch (IOException _) {
            // no server answers there; a program may hold the port anyway
        }
        try (ServerSocket socket = new ServerSocket(wanted)) {
            return socket.getLocalPort();
        } catch (IOException _) {
            return Broker.freePort();
        }
    }
}
