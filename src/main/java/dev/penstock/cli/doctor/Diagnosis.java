package dev.penstock.cli.doctor;

import dev.penstock.cli.view.Table;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The model servers that run or are installed on this machine.
 *
 * @param answers one answer from each probed port
 * @param installed maps each kind of server to its program file, if one was found
 */
record Diagnosis(List<PortLook.Answer> answers, Map<ModelServerKind, Installed> installed) {
    /** The ports that Penstock probes by default. */
    static final List<Integer> PORTS = List.of(11434, 8000, 1234, 8081, 8080);

    /** The environment variables from which Penstock reads the address of a model server. */
    private static final List<String> ADDRESSES =
            List.of("OLLAMA_HOST", "VLLM_URL", "LMSTUDIO_URL", "LLAMA_SERVER_URL");

    /**
     * Matches an address of this machine, in any form that Ollama accepts. An address without a port means port 80 if
     * it begins with {@code http://}, and one of the default ports if it does not.
     */
    private static final Pattern HERE = Pattern.compile(
            "(http://)?(?:localhost|127(?:\\.\\d{1,3}){3}|0\\.0\\.0\\.0|\\[::]|)(?::(\\d{1,5}))?(?:/.*)?",
            Pattern.CASE_INSENSITIVE);

    Diagnosis {
        answers = List.copyOf(answers);
        installed = Map.copyOf(installed);
    }

    /** @param onPath whether the program is on the PATH, so that its name is enough to start it */
    record Installed(Path file, boolean onPath) {}

    /** Returns the default ports, and the ports of all addresses of this machine in environment variables. */
    static List<Integer> ports(Map<String, String> environment) {
        Set<Integer> ports = new LinkedHashSet<>(PORTS);
        for (String variable : ADDRESSES) {
            Matcher here = HERE.matcher(environment.getOrDefault(variable, "").strip());
            if (here.matches() && here.group(2) != null) {
                ports.add(Integer.parseInt(here.group(2)));
            } else if (here.matches() && here.group(1) != null) {
                ports.add(80);
            }
        }
        ports.removeIf(port -> port < 1 || port > 65_535);
        return List.copyOf(ports);
    }

    /**
     * Examines this machine.
     *
     * @param path the folders to search, in the format of PATH
     */
    static Diagnosis look(List<Integer> ports, String path, Path home) throws InterruptedException {
        Map<ModelServerKind, Installed> installed = new EnumMap<>(ModelServerKind.class);
        for (ModelServerKind kind : ModelServerKind.values()) {
            find(kind, path, home).ifPresent(found -> installed.put(kind, found));
        }
        try (HttpClient http = HttpClient.newBuilder()
                        .version(HttpClient.Version.HTTP_1_1)
                        .connectTimeout(Duration.ofSeconds(1))
                        .build();
                ExecutorService all = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<PortLook.Answer>> probes = ports.stream()
                    .map(port -> all.submit(() -> new PortLook(http, port).look()))
                    .toList();
            List<PortLook.Answer> answers = new ArrayList<>();
            for (Future<PortLook.Answer> probe : probes) {
                answers.add(probe.get());
            }
            return new Diagnosis(answers, installed);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    private static Optional<Installed> find(ModelServerKind kind, String path, Path home) {
        Optional<Path> onPath = first(Arrays.stream(path.split(System.getProperty("path.separator"), -1)), kind);
        Stream<String> places = kind.places().stream()
                .map(place -> place.startsWith("~/")
                        ? home.resolve(place.substring(2)).toString()
                        : place);
        return onPath.map(file -> new Installed(file, true))
                .or(() -> first(places, kind).map(file -> new Installed(file, false)));
    }

    private static Optional<Path> first(Stream<String> folders, ModelServerKind kind) {
        return folders.filter(folder -> !folder.isEmpty())
                .flatMap(folder -> Stream.of(kind.program(), kind.program() + ".exe")
                        .map(name -> Path.of(folder).resolve(name)))
                .filter(file -> Files.isRegularFile(file) && Files.isExecutable(file))
                .findFirst();
    }

    boolean anyRuns() {
        return answers.stream().anyMatch(PortLook.Answer.Server.class::isInstance);
    }

    /** Describes in a text which server listens on each port. */
    String ports() {
        Table table = new Table(List.of("PORT", "ANSWERS", "MODELS"));
        for (PortLook.Answer answer : answers) {
            table.add(
                    switch (answer) {
                        case PortLook.Answer.Server(
                                int port,
                                String what,
                                Optional<ModelServerKind> _,
                                List<String> models) ->
                            List.of(String.valueOf(port), what, models.isEmpty() ? "none" : String.join(", ", models));
                        case PortLook.Answer.Other(int port, String what, boolean _) ->
                            List.of(String.valueOf(port), what, "");
                        case PortLook.Answer.Nothing(int port) -> List.of(String.valueOf(port), "nothing", "");
                    });
        }
        return table.toString();
    }

    /** Returns whether an unidentified server listens on the port. */
    private boolean unknownOn(int port) {
        return answers.stream().anyMatch(answer -> switch (answer) {
            case PortLook.Answer.Server server ->
                server.port() == port && server.kind().isEmpty();
            case PortLook.Answer.Other other -> other.port() == port && other.notReady();
            case PortLook.Answer.Nothing _ -> false;
        });
    }

    /** Describes each kind of server in a text, with the user's next step. */
    String servers() {
        Table table = new Table(List.of("SERVER", "STATE", "WHERE", "WHAT TO DO"));
        for (ModelServerKind kind : ModelServerKind.values()) {
            Installed file = installed.get(kind);
            List<String> running = answers.stream()
                    .filter(answer -> answer instanceof PortLook.Answer.Server server
                            && server.kind().equals(Optional.of(kind)))
                    .map(answer -> String.valueOf(((PortLook.Answer.Server) answer).port()))
                    .toList();
            String where = file == null ? "" : file.file().toString();
            if (!running.isEmpty()) {
                table.add(List.of(kind.label(), "runs on " + String.join(", ", running), where, ""));
            } else if (file != null && unknownOn(kind.port())) {
                table.add(List.of(
                        kind.label(), "installed", where, "what answers on %d may be it".formatted(kind.port())));
            } else if (file != null) {
                String program = file.onPath() ? kind.program() : file.file().toString();
                table.add(List.of(kind.label(), "installed, not running", where, "start it: " + kind.command(program)));
            } else {
                table.add(List.of(kind.label(), "not installed", "", "get it: " + kind.toGet()));
            }
        }
        return table.toString();
    }
}
