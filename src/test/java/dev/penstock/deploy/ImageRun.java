package dev.penstock.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * Runs an image as a cluster would, and examines it from outside: read-only, uid 10001, no capabilities, with the
 * variables of a Service named penstock. docker/test-images.sh builds the image and runs this.
 *
 * <p>Arguments: the image, the command for containers, {@code --}, and the options with which it can run one here.
 */
public final class ImageRun {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final Duration TOKENS_EVERY = Duration.ofMillis(100);
    private static final int TOKENS = 40;
    private static final int SIGTERM = 143;

    private final String image;
    private final List<String> podman;
    private final List<String> run;
    private final ObjectMapper json = new ObjectMapper();

    private ImageRun(String image, List<String> podman, List<String> options) {
        this.image = image;
        this.podman = podman;
        // its timer needs systemd; this test runs the health check itself
        run = new ArrayList<>(List.of("run", "--rm", "--no-healthcheck"));
        run.addAll(options);
    }

    public static void main(String... args) throws IOException, InterruptedException {
        List<String> all = List.of(args);
        int options = all.indexOf("--");
        new ImageRun(all.getFirst(), all.subList(1, options), all.subList(options + 1, all.size())).run();
        System.out.println(args[0] + ": all of it holds");
    }

    private void run() throws IOException, InterruptedException {
        check("labels", labels());
        check("bill of materials", billOfMaterials());
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start()) {
            fake.script(request -> request.prompt().equals("long")
                    ? Answer.tokens(TOKENS).every(TOKENS_EVERY)
                    : Answer.of("all", " is", " well"));
            String name = "penstock-image-" + ProcessHandle.current().pid();
            int port = Broker.freePort();
            int management = Broker.freePort();
            try (ChildProcess container = start(name, broker, fake, port, management)) {
                URI service = URI.create("http://127.0.0.1:" + port);
                container.awaitOk(URI.create("http://127.0.0.1:%d/q/health/ready".formatted(management)), PATIENCE);
                check("confinement", confinement(name));
                check("health check", call(exec(name)).isEmpty());
                check("a job", job(service));
                try (ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
                    check("drain", drain(service, name, container, replies));
                }
            }
        }
    }

    private ChildProcess start(String name, Broker broker, FakeUpstream fake, int port, int management)
            throws IOException {
        Path config = Files.createDirectories(
                TestEnvironment.buildDir().resolve("images").resolve("config"));
        Path file = Files.writeString(config.resolve("application.yaml"), """
                penstock:
                  auth: {mode: none}
                  nodes:
                    fake: {backend: vllm, url: "%s"}
                """.formatted(fake.url()));
        Files.setPosixFilePermissions(config, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        List<String> command = new ArrayList<>(podman);
        command.addAll(run);
        command.addAll(List.of(
                "--name", name, "--network=host", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"));
        command.addAll(List.of("--volume", config + ":/opt/penstock/config:ro"));
        // the variables that Kubernetes sets for a Service named penstock if links are on
        variables(
                command,
                Map.of(
                        "PENSTOCK_PORT", "tcp://10.0.0.1:8080",
                        "PENSTOCK_SERVICE_HOST", "10.0.0.1",
                        "PENSTOCK_SERVICE_PORT", "8080",
                        "PENSTOCK_SERVICE_PORT_HTTP", "8080",
                        "PENSTOCK_PORT_8080_TCP", "tcp://10.0.0.1:8080",
                        "PENSTOCK_PORT_8080_TCP_ADDR", "10.0.0.1",
                        "KAFKA_PORT", "tcp://10.0.0.2:9092",
                        "KAFKA_SERVICE_HOST", "10.0.0.2"));
        variables(
                command,
                Map.of(
                        "KAFKA_BOOTSTRAP_SERVERS",
                        broker.bootstrap(),
                        "QUARKUS_HTTP_PORT",
                        Integer.toString(port),
                        "QUARKUS_MANAGEMENT_PORT",
                        Integer.toString(management)));
        command.add(image);
        return ChildProcess.start("image", command, Map.of());
    }

    private static void variables(List<String> command, Map<String, String> variables) {
        variables.forEach((name, value) -> command.addAll(List.of("--env", name + "=" + value)));
    }

    private List<String> labels() throws IOException, InterruptedException {
        List<String> mistakes = new ArrayList<>();
        JsonNode config = inspect(List.of("image", "inspect", image)).path("Config");
        for (String label : List.of("title", "description", "licenses", "version", "revision", "base.name")) {
            if (config.path("Labels")
                    .path("org.opencontainers.image." + label)
                    .asText()
                    .isBlank()) {
                mistakes.add("there is no label " + label);
            }
        }
        expect("user", "10001:10001", config.path("User").asText(), mistakes);
        if (!config.path("Healthcheck").has("Test")
                && !inspect(List.of("image", "inspect", image)).has("Healthcheck")) {
            mistakes.add("there is no health check");
        }
        return mistakes;
    }

    private List<String> billOfMaterials() throws IOException, InterruptedException {
        List<String> reading = new ArrayList<>(run);
        reading.addAll(List.of("--network=none", "--entrypoint", "cat", image, "/opt/penstock/sbom/penstock.cdx.json"));
        String text = output(reading);
        JsonNode bom = json.readTree(text);
        List<String> mistakes = new ArrayList<>();
        expect("format", "CycloneDX", bom.path("bomFormat").asText(), mistakes);
        List<String> components = bom.path("components").findValuesAsText("name");
        for (String component : List.of("kafka-clients", "quarkus-rest-jackson", "sqlite-jdbc")) {
            if (!components.contains(component)) {
                mistakes.add("%s is not among the %d components".formatted(component, components.size()));
            }
        }
        if (components.contains("archunit")) {
            mistakes.add("it lists what only the tests use");
        }
        return mistakes;
    }

    /** Returns the kernel's limits of the container's first process. */
    private List<String> confinement(String name) throws IOException, InterruptedException {
        String pid = inspect(List.of("inspect", name)).path("State").path("Pid").asText();
        List<String> mistakes = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of("/proc", pid, "status"))) {
            String[] words = line.split("\\s+", -1);
            switch (words[0]) {
                case "Uid:", "Gid:" -> expect(words[0], "10001 10001 10001 10001", rest(words), mistakes);
                case "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" ->
                    expect(words[0], "0000000000000000", rest(words), mistakes);
                case "NoNewPrivs:" -> expect(words[0], "1", rest(words), mistakes);
                default -> {
                    // has no requirement
                }
            }
        }
        String root = Files.readAllLines(Path.of("/proc", pid, "mountinfo")).stream()
                .map(line -> line.split(" ", -1))
                .filter(fields -> fields[4].equals("/"))
                .map(fields -> fields[5])
                .findFirst()
                .orElse("");
        if (!List.of(root.split(",", -1)).contains("ro")) {
            mistakes.add("its root is mounted " + root);
        }
        return mistakes;
    }

    private static String rest(String... words) {
        return String.join(" ", Arrays.asList(words).subList(1, words.length));
    }

    private static List<String> job(URI service) throws InterruptedException {
        Rest.Reply reply = Rest.post(
                service,
                "/v1/jobs",
                "application/json",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}",
                "Prefer",
                "wait=60");
        List<String> mistakes = new ArrayList<>();
        expect("status", "200", Integer.toString(reply.status()), mistakes);
        expect(
                "answer",
                "all is well",
                reply.json().at("/response/choices/0/message/content").asText(),
                mistakes);
        return mistakes;
    }

    /** A job that runs when SIGTERM comes ends once, and then the process ends. */
    private List<String> drain(URI service, String name, ChildProcess container, ReplyLog replies)
            throws IOException, InterruptedException {
        Rest.Reply reply = Rest.post(
                service,
                "/v1/jobs",
                "application/json",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"long\"}],\"job\":{\"id\":\"drained\"}}");
        List<String> mistakes = new ArrayList<>();
        expect("status", "202", Integer.toString(reply.status()), mistakes);
        replies.awaitEvent("drained", event -> event.mark().kind() == EventMark.Kind.CHUNK, PATIENCE);
        mistakes.addAll(call(List.of("kill", "--signal", "TERM", name)));
        OptionalInt exit = container.awaitExit(PATIENCE);
        replies.awaitOutcomes(List.of("drained"), PATIENCE);
        expect("outcome", "completed", replies.outcome("drained").mark().kind().wireName(), mistakes);
        expect("starts", "1", Long.toString(replies.count("drained", EventMark.Kind.STARTED)), mistakes);
        expect(
                "words",
                Integer.toString(TOKENS),
                Integer.toString(replies.outcome("drained")
                        .json()
                        .at("/usage/completion_tokens")
                        .asInt()),
                mistakes);
        if (exit.isEmpty() || (exit.getAsInt() != 0 && exit.getAsInt() != SIGTERM)) {
            mistakes.add("it ended with " + exit);
        }
        return mistakes;
    }

    private static List<String> exec(String name) {
        return List.of("exec", name, "/opt/penstock/healthy");
    }

    private JsonNode inspect(List<String> arguments) throws IOException, InterruptedException {
        return json.readTree(output(arguments)).path(0);
    }

    /** Returns nothing if the command succeeds. */
    private List<String> call(List<String> arguments) throws IOException, InterruptedException {
        Process process = process(arguments);
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int status = process.waitFor();
        return status == 0 ? List.of() : List.of("%s: status %d: %s".formatted(arguments, status, text));
    }

    private String output(List<String> arguments) throws IOException, InterruptedException {
        Process process = process(arguments);
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IllegalStateException("%s: %s".formatted(arguments, text));
        }
        return text;
    }

    private Process process(List<String> arguments) throws IOException {
        List<String> command = new ArrayList<>(podman);
        command.addAll(arguments);
        return new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    private static void expect(String what, String wanted, String found, List<String> mistakes) {
        if (!wanted.equals(found)) {
            mistakes.add("%s is %s and not %s".formatted(what, found, wanted));
        }
    }

    private void check(String what, boolean holds) {
        check(what, holds ? List.of() : List.of("does not hold"));
    }

    private void check(String what, List<String> mistakes) {
        if (!mistakes.isEmpty()) {
            throw new IllegalStateException("%s: %s: %s".formatted(image, what, String.join("; ", mistakes)));
        }
        System.out.println(image + ": " + what + " holds");
    }
}
