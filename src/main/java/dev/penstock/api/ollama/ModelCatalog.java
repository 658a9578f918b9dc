package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.node.models.OllamaDescriptions;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.Backend;
import dev.penstock.settings.Settings;
import dev.penstock.wire.ModelName;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/** The models of the nodes that are up, and the profiles, as Ollama describes models. It asks the Ollama nodes at each call. */
@Singleton
final class ModelCatalog {
    private final Nodes nodes;
    private final Settings settings;
    private final Clock clock;

    ModelCatalog(Nodes nodes, Settings settings, Clock clock) {
        this.nodes = nodes;
        this.settings = settings;
        this.clock = clock;
    }

    private interface Question {
        List<ObjectNode> ask(OllamaDescriptions node) throws InterruptedException;
    }

    private record Served(Node node, String model) {}

    /** Returns the answer of /api/tags. */
    ObjectNode tags() throws InterruptedException {
        return ModelCards.tags(reports(OllamaDescriptions::listed), profiles());
    }

    /** Returns the answer of /api/ps. */
    ObjectNode running() throws InterruptedException {
        return ModelCards.running(reports(OllamaDescriptions::inMemory), clock.instant());
    }

    /** Returns the answer of /api/show; empty if no node that is up has the model. */
    Optional<ObjectNode> shown(String name, boolean verbose) throws InterruptedException {
        List<Served> homes = homes(name);
        for (Served home : homes) {
            OllamaDescriptions node = home.node().models().descriptions().orElse(null);
            Optional<ObjectNode> own = node == null ? Optional.empty() : node.shown(home.model(), verbose);
            if (own.isPresent()) {
                return own;
            }
        }
        return homes.stream()
                .flatMap(home -> home.node().health().models().stream()
                        .filter(model -> model.id().equals(home.model())))
                .findFirst()
                .map(ModelCards::shown);
    }

    /** Returns whether a job can name this model now. */
    boolean has(String name) {
        return ModelCards.profile(name, profiles()).isPresent() || !homes(name).isEmpty();
    }

    /** Returns the name in a job for the name that a client of Ollama uses. */
    String nameInJob(String name) {
        return ModelCards.profile(name, profiles()).orElse(name);
    }

    /** Returns the nodes that have the model or the profile, Ollama nodes first. */
    private List<Served> homes(String name) {
        Map<Backend, String> profile = ModelCards.profile(name, profiles())
                .map(settings.profiles()::get)
                .orElse(Map.of());
        List<Served> homes = new ArrayList<>();
        for (Node node : up()) {
            String wanted =
                    profile.isEmpty() ? name : profile.get(node.settings().backend());
            model(node, wanted).ifPresent(model -> homes.add(new Served(node, model)));
        }
        homes.sort(Comparator.comparing(home -> !isOllama(home.node())));
        return homes;
    }

    private static Optional<String> model(Node node, @Nullable String wanted) {
        return wanted == null
                ? Optional.empty()
                : node.health().models().stream()
                        .map(WireProtocol.Model::id)
                        .filter(listed -> ModelName.same(listed, wanted))
                        .findFirst();
    }

    /** Asks all Ollama nodes at the same time. A thread ends with its answer, so the loss of one loses one node's entries. */
    private List<ModelCards.Report> reports(Question question) throws InterruptedException {
        List<Callable<ModelCards.Report>> questions = new ArrayList<>();
        for (Node node : up()) {
            OllamaDescriptions descriptions = node.models().descriptions().orElse(null);
            questions.add(() -> new ModelCards.Report(
                    inMemory(node), isOllama(node), descriptions == null ? List.of() : question.ask(descriptions)));
        }
        List<ModelCards.Report> reports = new ArrayList<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (Future<ModelCards.Report> report : threads.invokeAll(questions)) {
                try {
                    reports.add(report.get());
                } catch (ExecutionException _) {
                    // the node was removed meanwhile, and its client is closed
                }
            }
        }
        return reports;
    }

    /** Returns the node's models. A model of a cloud service, or of a program that runs once, is in no node's memory. */
    private static List<WireProtocol.Model> inMemory(Node node) {
        List<WireProtocol.Model> models = node.health().models();
        return switch (node.settings().backend()) {
            case VLLM, OLLAMA, LM_STUDIO, LLAMA_SERVER, OPENAI_COMPATIBLE -> models;
            case OPENAI, AZURE_OPENAI, ANTHROPIC, LLAMA_CLI ->
                models.stream().map(model -> model.withLoaded(false)).toList();
        };
    }

    private static boolean isOllama(Node node) {
        return node.settings().backend() == Backend.OLLAMA;
    }

    private List<Node> up() {
        return nodes.all().stream()
                .filter(node -> node.health().state() == Node.State.UP)
                .toList();
    }

    private Set<String> profiles() {
        return settings.profiles().keySet();
    }
}
