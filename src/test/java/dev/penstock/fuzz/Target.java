package dev.penstock.fuzz;

import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The packaged service with a broker, a database, a valid node, and a hostile node for each kind of server. */
final class Target implements AutoCloseable {
    /** The backend of each hostile node, and the server whose recorded answers it gives. */
    static final Map<String, String> SERVERS = new LinkedHashMap<>(
            Map.of("vllm", "vllm", "llama-server", "llama-server", "ollama", "ollama", "anthropic", "vllm"));

    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final Pattern USED = Pattern.compile("used (\\d+)K");
    private static final Pattern THREAD = Pattern.compile("^\"([^\"]+)\"", Pattern.MULTILINE);
    /** Threads of pools, which come and go. */
    private static final Pattern POOLED = Pattern.compile(
            ".*(executor-thread|vert.x-(worker|eventloop|internal)|Compiler|ForkJoin|Attach Listener|HttpClient|agroal|GC Thread|G1 |Cleaner|pool-\\d|read-unparker|VirtualThread-unparker|ledger-read|OkHttp|Signal|DestroyJavaVM|process reaper).*",
            Pattern.CASE_INSENSITIVE);

    private final Broker broker = Broker.start();
    private final Postgres postgres = Postgres.start("fuzz");
    private final FakeUpstream sound = FakeUpstream.start();
    private final Map<String, FakeUpstream> hostile = new LinkedHashMap<>();
    /** The answers of hostile nodes to prompts. */
    private final Map<String, Input.Said> answers = new ConcurrentHashMap<>();

    final PenstockProcess penstock;
    private int checks;

    Target() throws InterruptedException {
        PenstockProcess.Builder builder = PenstockProcess.with(broker.bootstrap())
                .name("fuzz")
                .runtimeOption("-Xmx384m")
                .runtimeOption("-XX:+ExitOnOutOfMemoryError")
                .ledger(postgres)
                .config("penstock.timeouts.first-token", "3s")
                .config("penstock.timeouts.idle", "3s")
                .config("penstock.retries.max-attempts", "1")
                .config("penstock.jobs.timeout", "30s")
                .node("sound", "vllm", URI.create(sound.url()), 32);
        SERVERS.keySet().forEach(backend -> {
            FakeUpstream server = FakeUpstream.start().keep(10);
            server.flavour(backend.equals("llama-server") ? Flavour.LLAMA_SERVER : Flavour.VLLM);
            server.script(request -> answer(request.prompt()));
            hostile.put(backend, server);
            builder.node(backend, backend, URI.create(server.url()), 16);
        });
        sound.keep(10);
        penstock = builder.startReady();
        penstock.awaitLedger();
    }

    private Answer answer(String prompt) {
        Input.Said said = answers.get(prompt);
        // its content may have no end
        return said == null ? Answer.of("hello") : Answer.raw(said.response()).closing();
    }

    String bootstrap() {
        return broker.bootstrap();
    }

    /** Runs a job at a hostile node with this answer. Returns the resulting status and document. */
    Rest.Reply ask(String backend, String name, Input.Said said) throws InterruptedException {
        answers.put(name, said);
        try {
            String document =
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"model\":\"tiny\",\"job\":{\"id\":\"%s\",\"node\":\"%s\"}}"
                            .formatted(name, name, backend);
            Rest.Reply reply = patiently(
                    () -> Rest.post(penstock.url(), "/v1/jobs", "application/json", document, "Prefer", "wait=40"));
            // on a busy machine a job waits for its turn, and has its timeout after that
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (!isOver(reply) && System.nanoTime() - until < 0) {
                reply = found(name, 40);
            }
            return reply;
        } finally {
            answers.remove(name);
        }
    }

    private Rest.Reply found(String id, int seconds) throws InterruptedException {
        return patiently(() -> Rest.get(penstock.url(), "/v1/jobs/" + id, "Prefer", "wait=" + seconds));
    }

    /** Repeats a call that the service refuses for a moment, because the generated calls take all the memory for answers. */
    private static Rest.Reply patiently(Call call) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        Rest.Reply reply = call.send();
        while (reply.status() == 503 && System.nanoTime() - until < 0) {
            TimeUnit.SECONDS.sleep(1);
            reply = call.send();
        }
        return reply;
    }

    @FunctionalInterface
    private interface Call {
        Rest.Reply send() throws InterruptedException;
    }

    /** Returns whether a reply is about a job that has ended; or about none. */
    static boolean isOver(Rest.Reply reply) {
        return reply.status() / 100 != 2
                || !List.of("queued", "running")
                        .contains(reply.json().path("status").asText());
    }

    /** Runs a valid job in each way. Returns the jobs that did not complete. */
    List<String> checkDoors() throws InterruptedException {
        List<String> wrong = new ArrayList<>();
        int check = checks++;
        String rest = job("door-rest-" + check);
        Rest.Reply one =
                patiently(() -> Rest.post(penstock.url(), "/v1/jobs", "application/json", rest, "Prefer", "wait=60"));
        if (!one.body().contains("\"completed\"")) {
            wrong.add("a job over REST: " + one.status() + " " + one.body());
        }
        Rest.Reply lines = patiently(() -> Rest.post(
                penstock.url(),
                "/v1/jobs",
                "application/x-ndjson",
                job("door-line-" + check) + "\n",
                "Prefer",
                "wait=60"));
        if (!lines.body().contains("\"completed\"")) {
            wrong.add("a job on a line: " + lines.status() + " " + lines.body());
        }
        try (Rest.Events events = Rest.submitAndWatch(penstock.url(), job("door-stream-" + check))) {
            Rest.SentEvent event = events.next();
            while (event != null && !event.name().equals("completed")) {
                event = events.next();
            }
            if (event == null) {
                wrong.add("an event stream ended without an outcome");
            }
        } catch (IOException e) {
            wrong.add("an event stream: " + e);
        }
        for (String topic : List.of("prompt-jobs-high", "prompt-jobs", "prompt-jobs-low")) {
            try (JobSender jobs = new JobSender(broker.bootstrap(), topic, Map.of())) {
                jobs.sendRaw(null, job("door-" + topic + "-" + check).getBytes(StandardCharsets.UTF_8));
                jobs.flush();
            }
            Rest.Reply found = found("door-" + topic + "-" + check, 60);
            if (!found.body().contains("\"completed\"")) {
                wrong.add("a job on %s: %d %s".formatted(topic, found.status(), found.body()));
            }
        }
        return wrong;
    }

    private static String job(String id) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"job\":{\"id\":\"%s\",\"node\":\"sound\"}}"
                .formatted(id);
    }

    /** Waits until the job topics are finished and the ledger has caught up. */
    List<String> awaitIdle() throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        List<String> left = behind();
        while (!left.isEmpty() && System.nanoTime() < until) {
            Thread.sleep(500);
            left = behind();
        }
        return left;
    }

    private List<String> behind() throws InterruptedException {
        return Metrics.text(penstock)
                .lines()
                // a job that is deferred for minutes is not due yet
                .filter(line -> line.startsWith("penstock_ledger_lag_seconds")
                        || (line.startsWith("penstock_queue_lag") && !line.contains("deferred")))
                .filter(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)) > 0)
                .toList();
    }

    /** Returns the exceptions that threads survived. */
    List<String> threadFailures() throws InterruptedException {
        return Metrics.text(penstock)
                .lines()
                .filter(line -> line.startsWith("penstock_thread_failures"))
                .toList();
    }

    /** Returns the bytes in use after a garbage collection. */
    long heap() {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 3; i++) {
            jcmd("GC.run");
            Matcher used = USED.matcher(jcmd("GC.heap_info"));
            if (!used.find()) {
                throw new IllegalStateException("jcmd does not say how much is used");
            }
            least = Math.min(least, Long.parseLong(used.group(1)) * 1024);
        }
        return least;
    }

    /** Returns the names of threads that live as long as the service, without their numbers. */
    Set<String> threads() {
        return THREAD.matcher(jcmd("Thread.print"))
                .results()
                .map(found -> found.group(1))
                .filter(name -> !POOLED.matcher(name).matches())
                .map(name -> name.replaceAll("\\d+", "#"))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private String jcmd(String command) {
        Path jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd");
        try {
            Process process = new ProcessBuilder(jcmd.toString(), Long.toString(penstock.pid()), command)
                    .redirectErrorStream(true)
                    .start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            process.waitFor();
            return said;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        penstock.kill9();
        hostile.values().forEach(FakeUpstream::close);
        sound.close();
        postgres.close();
        broker.close();
    }
}
