package dev.penstock.fuzz;

import dev.penstock.testkit.Rest;
import dev.penstock.testkit.TestEnvironment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends generated input of every kind to the packaged service: REST calls, records, and answers of model servers.
 * It exits with 1 if a call's answer is not in the document, a job gets no outcome, a reader stops, a thread fails,
 * or memory grows. It keeps the failing input under {@code src/test/resources/fuzz}, where {@code make test} runs it
 * again.
 *
 * <p>Arguments: the seconds to run, and the seed. Each input follows from the seed and its number.
 */
public final class Fuzz {
    /** The heap is measured after this time. At the end it may be a fifth larger. */
    private static final int FIRST_SECONDS = 60;

    private static final double MOST_GROWTH = 1.2;
    private static final int CALLERS = 3;
    /** The number of threads for each hostile node. */
    private static final int ANSWERERS = 3;

    private static final int MOST_SAVED = 20;

    private final Target target;
    private final Generator generator;
    private final Calls rest;
    private final long seed;
    private final Map<String, AtomicLong> counts = new ConcurrentHashMap<>();
    private final ConcurrentLinkedQueue<String> violations = new ConcurrentLinkedQueue<>();
    private final Set<String> kinds = ConcurrentHashMap.newKeySet();
    private final AtomicLong calls = new AtomicLong();
    private final AtomicLong records = new AtomicLong();
    private final AtomicLong said = new AtomicLong();
    private volatile long endNanos;

    private Fuzz(Target target, long seed) {
        this.target = target;
        this.seed = seed;
        Published published = Published.of(TestEnvironment.projectDir());
        rest = new Calls(target.penstock.url(), published);
        generator = new Generator(seed, published.operations(), TestEnvironment.projectDir());
    }

    public static void main(String... args) throws InterruptedException {
        System.setProperty("java.util.logging.manager", "org.jboss.logmanager.LogManager");
        Logger kafka = Logger.getLogger("org.apache.kafka");
        kafka.setLevel(Level.OFF);
        int seconds = args.length > 0 ? Integer.parseInt(args[0]) : 120;
        long seed = args.length > 1 && !args[1].isBlank() ? Long.parseLong(args[1]) : System.currentTimeMillis();
        System.out.printf(Locale.ROOT, "fuzz for %d s, SEED=%d%n", seconds, seed);
        List<String> violations;
        try (Target target = new Target()) {
            violations = new Fuzz(target, seed).run(seconds);
        }
        violations.stream().limit(20).forEach(violation -> System.out.println("VIOLATION " + violation));
        System.out.printf(Locale.ROOT, "SEED=%d: %d violations%n", seed, violations.size());
        System.exit(violations.isEmpty() ? 0 : 1);
    }

    private List<String> run(int seconds) throws InterruptedException {
        int first = Math.min(FIRST_SECONDS, seconds / 2);
        phase(first);
        long heapBefore = target.heap();
        Set<String> threadsBefore = target.threads();
        phase(seconds - first);
        target.awaitIdle().forEach(left -> violations.add("a reader is behind: " + left));
        long heapAfter = target.heap();
        Set<String> lost = new TreeSet<>(threadsBefore);
        lost.removeAll(target.threads());
        new TreeMap<>(counts).forEach((kind, count) -> System.out.printf(Locale.ROOT, "%,9d %s%n", count.get(), kind));
        System.out.printf(
                Locale.ROOT,
                "heap after collection: %.1f MiB, after the first %d s %.1f MiB; %d threads by name, %d missing%n",
                heapAfter / 1048576.0,
                first,
                heapBefore / 1048576.0,
                threadsBefore.size(),
                lost.size());
        if (heapAfter > MOST_GROWTH * heapBefore) {
            violations.add("the heap grew from %,d to %,d bytes".formatted(heapBefore, heapAfter));
        }
        if (!lost.isEmpty()) {
            violations.add("threads are gone: " + lost);
        }
        target.threadFailures().forEach(failure -> violations.add("a thread failed: " + failure));
        if (!target.penstock.process().isAlive()) {
            violations.add("the process ended");
        }
        return List.copyOf(violations);
    }

    /** Sends all kinds of input for this time, then a valid job in each way. */
    private void phase(int seconds) throws InterruptedException {
        endNanos = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < CALLERS; i++) {
            threads.add(start("fuzz-calls-" + i, this::call));
        }
        threads.add(start("fuzz-records", this::record));
        Target.SERVERS.forEach((backend, server) -> {
            for (int i = 0; i < ANSWERERS; i++) {
                threads.add(start("fuzz-answers-%s-%d".formatted(backend, i), () -> answer(backend, server)));
            }
        });
        for (Thread thread : threads) {
            thread.join();
        }
        target.checkDoors().forEach(wrong -> violations.add("a sound job does not complete: " + wrong));
        target.awaitIdle();
    }

    private interface Body {
        void run() throws InterruptedException;
    }

    private static Thread start(String name, Body body) {
        return Thread.ofPlatform().daemon().name(name).start(() -> {
            try {
                body.run();
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
    }

    private boolean goesOn() {
        return System.nanoTime() < endNanos && target.penstock.process().isAlive();
    }

    private void call() {
        while (goesOn()) {
            long number = calls.getAndIncrement();
            Input.Call call = generator.call(number);
            runReaders(call, number);
            Calls.Answer answer = rest.send(call.request());
            count("call", answer.status() == 0 ? "no answer" : Integer.toString(answer.status()));
            if (goesOn()) {
                rest.wrong(call.request(), answer).ifPresent(what -> {
                    String line = new String(call.request(), StandardCharsets.UTF_8)
                            .lines()
                            .findFirst()
                            .orElse("");
                    violation(call, number, what, line + ": " + answer.text());
                });
            }
        }
    }

    private void record() throws InterruptedException {
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", target.bootstrap(), "max.request.size", 8_500_000),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            while (goesOn()) {
                long number = records.getAndIncrement();
                Input.TopicRecord record = generator.record(number);
                runReaders(record, number);
                var _ = producer.send(new ProducerRecord<>(
                        record.topic(), null, record.key(), record.value(), record.kafkaHeaders()));
                count("record", record.topic());
                // more calls than the service takes would only queue up
                TimeUnit.MILLISECONDS.sleep(4);
            }
        }
    }

    private void answer(String backend, String server) throws InterruptedException {
        while (goesOn()) {
            long number = said.getAndIncrement();
            Input.Said input = generator.said(number, server);
            Rest.Reply reply = target.ask(backend, "fuzzed-%d-%d".formatted(seed, number), input);
            String status = reply.json().path("status").asText("?");
            String code = reply.json().path("error").path("code").asText("");
            count("answer of " + backend, status + (code.isEmpty() ? "" : " " + code));
            if (reply.status() != 200 || !Target.isOver(reply) || code.equals("internal")) {
                violation(input, number, "a job has no outcome", backend + ": " + reply.status() + " " + reply.body());
            }
        }
    }

    /** Runs the service's readers in this process, so that a failure certainly belongs to this input. */
    private void runReaders(Input input, long number) {
        try {
            Oracle.read(input);
        } catch (RuntimeException | StackOverflowError e) {
            violation(
                    input,
                    number,
                    "a reader fails with " + e.getClass().getSimpleName(),
                    String.valueOf(e.getMessage()));
        }
    }

    private void count(String kind, String outcome) {
        counts.computeIfAbsent(kind + ": " + outcome, _ -> new AtomicLong()).incrementAndGet();
    }

    private void violation(Input input, long number, String what, String words) {
        count("VIOLATION", what);
        String shortly = words.length() > 400 ? words.substring(0, 400) + "…" : words;
        Path project = TestEnvironment.projectDir();
        // one file for each kind of failure is enough to fix it
        String where = kinds.size() < MOST_SAVED && kinds.add(input.kind() + what)
                ? project.relativize(input.save(project, "%d-%d".formatted(seed, number)))
                        .toString()
                : "number " + number;
        violations.add("%s (%s): %s".formatted(what, where, shortly.replaceAll("\\p{Cntrl}+", " ")));
    }
}
