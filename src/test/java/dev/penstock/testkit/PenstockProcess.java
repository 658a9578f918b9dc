package dev.penstock.testkit;

import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The packaged service as a process: the jar that was built, or what the property {@code penstock.executable} or the
 * variable PENSTOCK_EXECUTABLE names, a jar or a native executable.
 */
public final class PenstockProcess implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final ChildProcess process;
    private final URI url;
    private final URI managementUrl;

    private PenstockProcess(ChildProcess process, URI url, URI managementUrl) {
        this.process = process;
        this.url = url;
        this.managementUrl = managementUrl;
    }

    /** On free ports, reachable from this machine, with no nodes and nothing of this process's own configuration. */
    public static Builder with(String bootstrap) {
        return new Builder(bootstrap);
    }

    /** How it is to be started. */
    public static final class Builder {
        private final Map<String, @Nullable String> environment = new HashMap<>();
        private final Map<String, String> config = new LinkedHashMap<>();
        private final List<String> runtimeOptions = new ArrayList<>(List.of("-Xmx1g", "-XX:+ExitOnOutOfMemoryError"));
        private Path program = defaultExecutable();
        private String name = "penstock";
        private OptionalInt port = OptionalInt.empty();
        private OptionalInt managementPort = OptionalInt.empty();
        private boolean itsOwnStart;

        /** Another JVM has other brokers, though it may have the same ports. */
        private static final String OF_THIS_JVM = Long.toString(System.currentTimeMillis(), 36) + "-"
                + ProcessHandle.current().pid();

        private final Path ledgers;

        private Builder(String bootstrap) {
            for (String variable : System.getenv().keySet()) {
                if (variable.matches("(PENSTOCK|QUARKUS|KAFKA|SMALLRYE|VLLM|LMSTUDIO|OPENAI|AZURE_OPENAI|ANTHROPIC)_.*"
                        + "|OLLAMA_HOST|LLAMA_SERVER_URL")) {
                    environment.put(variable, null);
                }
            }
            environment.put("KAFKA_BOOTSTRAP_SERVERS", bootstrap);
            ledgers = TestEnvironment.buildDir()
                    .resolve("ledgers")
                    .resolve(OF_THIS_JVM)
                    .resolve(bootstrap.replaceAll("[^A-Za-z0-9.]", "-"));
            // waiting until it is ready asks many times
            config.put("quarkus.log.category.\"io.smallrye.health\".level", "WARN");
        }

        /** Of its file of output; two replicas are told apart by it. */
        public Builder name(String newName) {
            this.name = newName;
            return this;
        }

        public Builder environment(String variable, String value) {
            environment.put(variable, value);
            return this;
        }

        /** Any key, of {@code penstock} or of Quarkus. */
        public Builder config(String key, String value) {
            config.put(key, value);
            return this;
        }

        /** A model server. */
        public Builder node(String node, String backend, URI address, int maxInFlight) {
            return config("penstock.nodes." + node + ".backend", backend)
                    .config("penstock.nodes." + node + ".url", address.toString())
                    .config("penstock.nodes." + node + ".max-in-flight", Integer.toString(maxInFlight));
        }

        /** Any number of replicas may share it; else each has a file of its own, which a process of the same name finds again. */
        public Builder ledger(Postgres postgres) {
            return config("penstock.ledger.kind", "postgresql")
                    .config("penstock.ledger.url", postgres.url())
                    .config("penstock.ledger.username", postgres.username());
        }

        /** For the JVM and for a native executable alike: -Xmx512m and the like; a later one wins. */
        public Builder runtimeOption(String option) {
            runtimeOptions.add(option);
            return this;
        }

        public Builder executable(Path jarOrNative) {
            this.program = jarOrNative;
            return this;
        }

        public Builder ports(int service, int management) {
            port = OptionalInt.of(service);
            managementPort = OptionalInt.of(management);
            return this;
        }

        /** By bin/penstock, with the options that this gives and none of the kit's own. */
        public Builder itsOwnStart() {
            itsOwnStart = true;
            runtimeOptions.clear();
            return this;
        }

        /** Starts it, without waiting for anything. */
        public PenstockProcess start() {
            int service = port.orElseGet(Broker::freePort);
            int management = managementPort.orElseGet(Broker::freePort);
            config.put("quarkus.http.port", Integer.toString(service));
            config.put("quarkus.management.port", Integer.toString(management));
            TestEnvironment.consumers().ifPresent(number -> config.putIfAbsent("penstock.intake.consumers", number));
            config.putIfAbsent(
                    "penstock.ledger.path", ledgers.resolve(name + ".db").toString());
            return new PenstockProcess(
                    ChildProcess.start(name, command(), environment),
                    URI.create("http://127.0.0.1:" + service),
                    URI.create("http://127.0.0.1:" + management));
        }

        private List<String> command() {
            if (!Files.exists(program)) {
                throw new IllegalStateException(
                        "there is no " + program + ": `make build` (or `make native`) makes it");
            }
            List<String> command = new ArrayList<>();
            boolean jar = isJar(program);
            if (itsOwnStart) {
                List<String> options = new ArrayList<>(runtimeOptions);
                config.forEach((key, value) -> options.add("-D" + key + "=" + value));
                environment.put("PENSTOCK_EXECUTABLE", program.toString());
                environment.put("JAVA_OPTS", jar ? String.join(" ", options) : "");
                command.add(TestEnvironment.projectDir().resolve("bin/penstock").toString());
                command.addAll(jar ? List.of() : options);
                return command;
            }
            command.add(jar ? TestEnvironment.java() : program.toString());
            if (jar) {
                command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
                command.addAll(TestEnvironment.jvmOptions());
            }
            command.addAll(runtimeOptions);
            config.forEach((key, value) -> command.add("-D" + key + "=" + value));
            if (jar) {
                command.addAll(List.of("-jar", program.toString()));
            }
            return command;
        }

        /** Starts it and waits until it takes jobs. */
        public PenstockProcess startReady() throws InterruptedException {
            PenstockProcess started = start();
            try {
                started.awaitReady(PATIENCE);
                return started;
            } catch (IllegalStateException | InterruptedException e) {
                started.kill9();
                throw e;
            }
        }
    }

    /** What a process runs where nothing else is said. */
    public static Path defaultExecutable() {
        String said = System.getProperty("penstock.executable", "");
        String program = said.isBlank() ? System.getenv().getOrDefault("PENSTOCK_EXECUTABLE", "") : said;
        return program.isBlank()
                ? TestEnvironment.buildDir().resolve("quarkus-app").resolve("quarkus-run.jar")
                : Path.of(program).toAbsolutePath();
    }

    /** A program is a jar, and needs a JVM, or a native executable. */
    public static boolean isJar(Path program) {
        return program.toString().endsWith(".jar");
    }

    /** Until :management/q/health/ready says so. */
    public void awaitReady(Duration patience) throws InterruptedException {
        process.awaitOk(managementUrl.resolve("/q/health/ready"), patience);
    }

    /** Until it can say of any job what became of it: the replicas have shared out what each of them projects. */
    public void awaitLedger() throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        Rest.Reply reply = Rest.get(url, "/v1/jobs/nobody-has-this-id");
        while (reply.status() != 404) {
            if (System.nanoTime() > until) {
                throw process.failure("had no ledger within %s: %s".formatted(PATIENCE, reply.body()));
            }
            reply = Rest.get(url, "/v1/jobs/nobody-has-this-id");
        }
    }

    /** Without a slash at its end. */
    public URI url() {
        return url;
    }

    /** Without a slash at its end. */
    public URI managementUrl() {
        return managementUrl;
    }

    public long pid() {
        return process.pid();
    }

    public ChildProcess process() {
        return process;
    }

    public void kill9() {
        process.kill9();
    }

    /** SIGTERM, without waiting. */
    public void terminate() {
        process.terminate();
    }

    /** SIGTERM, and waits for the end. */
    @Override
    public void close() {
        process.terminate();
        process.stop();
    }
}
