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
 * The packaged service as a process. It is the built jar, or the program in the property {@code penstock.executable}
 * or the variable PENSTOCK_EXECUTABLE, a jar or a native executable.
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

    /**
     * Configures a service on free ports, reachable from this machine only, with no nodes and without this process's
     * own configuration.
     */
    public static Builder with(String bootstrap) {
        return new Builder(bootstrap);
    }

    /** The configuration of a start. */
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
            String shareClient = System.getenv().getOrDefault("PENSTOCK_TEST_SHARE_CLIENT", "");
            if (!shareClient.isEmpty()) {
                config.put("penstock.intake.share-client", shareClient);
            }
            ledgers = TestEnvironment.buildDir()
                    .resolve("ledgers")
                    .resolve(OF_THIS_JVM)
                    .resolve(bootstrap.replaceAll("[^A-Za-z0-9.]", "-"));
            // the wait for readiness makes many calls
            config.put("quarkus.log.category.\"io.smallrye.health\".level", "WARN");
        }

        /** Sets the name of its output file, which distinguishes replicas. */
        public Builder name(String newName) {
            this.name = newName;
            return this;
        }

        public Builder environment(String variable, String value) {
            environment.put(variable, value);
            return this;
        }

        /** Sets any key of {@code penstock} or of Quarkus. */
        public Builder config(String key, String value) {
            config.put(key, value);
            return this;
        }

        /** Adds a model server. */
        public Builder node(String node, String backend, URI address, int maxInFlight) {
            return config("penstock.nodes." + node + ".backend", backend)
                    .config("penstock.nodes." + node + ".url", address.toString())
                    .config("penstock.nodes." + node + ".max-in-flight", Integer.toString(maxInFlight));
        }

        /**
         * Sets a ledger that any number of replicas may share. Without it, each has its own file, which a later
         * process of the same name continues.
         */
        public Builder ledger(Postgres postgres) {
            return config("penstock.ledger.kind", "postgresql")
                    .config("penstock.ledger.url", postgres.url())
                    .config("penstock.ledger.username", postgres.username());
        }

        /** Adds an option for both the JVM and a native executable: -Xmx512m and similar. A later option wins. */
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

        /** Starts it with bin/penstock: with the options of that script, and without the kit's options. */
        public Builder itsOwnStart() {
            itsOwnStart = true;
            runtimeOptions.clear();
            return this;
        }

        /** Starts it, without waiting. */
        public PenstockProcess start() {
            int service = port.orElseGet(Broker::freePort);
            int management = managementPort.orElseGet(Broker::freePort);
            config.put("quarkus.http.port", Integer.toString(service));
            config.put("quarkus.management.port", Integer.toString(management));
            if ("kafka".equals(config.get("penstock.intake.share-client"))) {
                TestEnvironment.shapeOfKafkas().forEach(config::putIfAbsent);
            }
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

    /** Returns the default program of a process. */
    public static Path defaultExecutable() {
        String configured = System.getProperty("penstock.executable", "");
        String program = configured.isBlank() ? System.getenv().getOrDefault("PENSTOCK_EXECUTABLE", "") : configured;
        return program.isBlank()
                ? TestEnvironment.buildDir().resolve("quarkus-app").resolve("quarkus-run.jar")
                : Path.of(program).toAbsolutePath();
    }

    /** Returns whether a program is a jar, which needs a JVM, and not a native executable. */
    public static boolean isJar(Path program) {
        return program.toString().endsWith(".jar");
    }

    /** Waits until :management/q/health/ready answers 200. */
    public void awaitReady(Duration patience) throws InterruptedException {
        process.awaitOk(managementUrl.resolve("/q/health/ready"), patience);
    }

    /**
     * Waits until it knows the state of every job: the replicas have shared out the partitions that each of them
     * projects.
     */
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

    /** Returns the URL without a slash at its end. */
    public URI url() {
        return url;
    }

    /** Returns the URL without a slash at its end. */
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

    /** Sends SIGTERM, without waiting. */
    public void terminate() {
        process.terminate();
    }

    /** Sends SIGTERM, and waits for the end. */
    @Override
    public void close() {
        process.terminate();
        process.stop();
    }
}
