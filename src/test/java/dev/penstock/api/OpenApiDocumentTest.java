package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.admin.NodeModelsResource;
import dev.penstock.api.admin.NodesResource;
import dev.penstock.api.admin.PausesResource;
import dev.penstock.api.anthropic.MessagesResource;
import dev.penstock.api.jobs.DeadLettersResource;
import dev.penstock.api.jobs.JobsResource;
import dev.penstock.api.jobs.RouteResource;
import dev.penstock.api.ollama.OllamaResource;
import dev.penstock.api.ollama.OllamaRootResource;
import dev.penstock.api.openai.CompletionsResource;
import dev.penstock.api.openai.ModelsResource;
import dev.penstock.api.rerank.RerankResource;
import dev.penstock.api.rerank.ScoreResource;
import dev.penstock.api.responses.ResponsesResource;
import dev.penstock.api.vision.DescribeResource;
import dev.penstock.api.vision.TagResource;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.PATCH;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.PUT;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.QueryParam;
import java.lang.annotation.Annotation;
import java.lang.reflect.Method;
import java.lang.reflect.Parameter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class OpenApiDocumentTest {
    private static final Set<Class<? extends Annotation>> METHODS =
            Set.of(GET.class, POST.class, DELETE.class, PUT.class, PATCH.class);
    private static final List<Class<?>> RESOURCES = List.of(
            JobsResource.class,
            RouteResource.class,
            DeadLettersResource.class,
            NodesResource.class,
            NodeModelsResource.class,
            PausesResource.class,
            CompletionsResource.class,
            ModelsResource.class,
            DescribeResource.class,
            TagResource.class,
            RerankResource.class,
            ScoreResource.class,
            MessagesResource.class,
            OllamaResource.class,
            OllamaRootResource.class,
            ResponsesResource.class);

    private final OpenApiDocument description = new OpenApiDocument();

    @Test
    void every_reference_leads_to_a_place_in_the_document() {
        List<String> dangling = new ArrayList<>();
        List<String> references = new ArrayList<>();
        collect(description.document(), references);
        for (String reference : references) {
            if (!reference.startsWith("#/")
                    || description.document().at(reference.substring(1)).isMissingNode()) {
                dangling.add(reference);
            }
        }
        assertThat(references).hasSizeGreaterThan(50);
        assertThat(dangling).isEmpty();
    }

    /** The document and the resources have the same paths, methods and query parameters. */
    @Test
    void it_describes_the_operations_and_query_parameters_of_the_resources() {
        Map<String, Set<String>> published = new TreeMap<>();
        description.queryParameters().forEach((operation, names) -> {
            if (!operation.contains(" /q/")) {
                published.put(operation, new TreeSet<>(names));
            }
        });
        Map<String, Set<String>> served = new TreeMap<>();
        for (Class<?> resource : RESOURCES) {
            for (Method method : resource.getDeclaredMethods()) {
                METHODS.stream()
                        .filter(method::isAnnotationPresent)
                        .forEach(verb -> served.computeIfAbsent(
                                        verb.getSimpleName() + " " + path(resource, method), _ -> new TreeSet<>())
                                .addAll(queryParameters(method)));
            }
        }
        // the list reads its filters itself: ListParametersTest
        served.put("GET /v1/jobs", published.getOrDefault("GET /v1/jobs", Set.of()));

        assertThat(served).isEqualTo(published);
    }

    private static String path(Class<?> resource, Method method) {
        String base = resource.getAnnotation(Path.class).value();
        Path own = method.getAnnotation(Path.class);
        return (base + (own == null ? "" : own.value())).replaceAll(":[^}]*}", "}");
    }

    private static List<String> queryParameters(Method method) {
        return Arrays.stream(method.getParameters())
                .map((Parameter parameter) -> parameter.getAnnotation(QueryParam.class))
                .filter(annotation -> annotation != null)
                .map(QueryParam::value)
                .toList();
    }

    @Test
    void every_request_and_every_answer_has_an_example() {
        List<String> without = new ArrayList<>();
        for (Map.Entry<String, JsonNode> path :
                description.document().path("paths").properties()) {
            for (Map.Entry<String, JsonNode> method : path.getValue().properties()) {
                String operation = method.getKey() + " " + path.getKey();
                JsonNode request = resolved(method.getValue().path("requestBody"));
                contents(operation + " request", request, without);
                for (Map.Entry<String, JsonNode> answer :
                        method.getValue().path("responses").properties()) {
                    contents(operation + " " + answer.getKey(), resolved(answer.getValue()), without);
                }
            }
        }
        assertThat(without).isEmpty();
    }

    private void contents(String where, JsonNode body, List<String> without) {
        for (Map.Entry<String, JsonNode> content : body.path("content").properties()) {
            JsonNode schema = resolved(content.getValue().path("schema"));
            boolean has = content.getValue().has("example")
                    || !content.getValue().path("examples").isEmpty()
                    || !schema.path("examples").isEmpty();
            if (!has) {
                without.add(where + " " + content.getKey());
            }
        }
    }

    private JsonNode resolved(JsonNode node) {
        return node.has("$ref")
                ? resolved(description.document().at(node.path("$ref").asText().substring(1)))
                : node;
    }

    private static void collect(JsonNode node, List<String> references) {
        if (node instanceof ObjectNode object && object.path("$ref").isTextual()) {
            references.add(object.path("$ref").asText());
        }
        node.forEach(child -> collect(child, references));
    }
}
