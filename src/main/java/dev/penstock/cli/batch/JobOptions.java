package dev.penstock.cli.batch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.job.Problem;
import dev.penstock.job.Priority;
import dev.penstock.wire.Durations;
import dev.penstock.wire.Json;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * The command-line options for jobs. They describe the job of a single prompt, or are the defaults for the jobs of a
 * file.
 */
public final class JobOptions {
    @Option(
            names = {"-m", "--model"},
            paramLabel = "M",
            description = "a profile or a model's name; default: the service decides")
    private @Nullable String model;

    @Option(names = "--system", paramLabel = "S", description = "the system message")
    private @Nullable String system;

    @Option(names = "--max-tokens", paramLabel = "N", description = "tokens of the answer at most")
    private @Nullable Integer maxTokens;

    @Option(names = "--temperature", paramLabel = "T", description = "0 is the most sober")
    private @Nullable Double temperature;

    @Option(
            names = "--priority",
            paramLabel = "P",
            description = "high, normal or low: over REST it picks the topic, over Kafka it orders the wait for a node")
    private @Nullable Priority priority;

    @Option(names = "--timeout", paramLabel = "5m", description = "the longest running time: 90s, 5m, 1h30m or PT5M")
    private @Nullable String timeout;

    public void check() throws Problem {
        if (maxTokens != null && maxTokens < 1) {
            throw Problem.usage("--max-tokens: must be at least 1");
        }
        if (temperature != null && (!Double.isFinite(temperature) || temperature < 0)) {
            throw Problem.usage("--temperature: must not be below 0");
        }
        if (timeout != null && !isPositiveDuration(timeout)) {
            throw Problem.usage("--timeout: '%s' is not %s".formatted(timeout, Durations.EXAMPLE));
        }
    }

    private static boolean isPositiveDuration(String text) {
        return Durations.parse(text).filter(Duration::isPositive).isPresent();
    }

    /** Returns the document of a job with this prompt as its one user message. */
    public ObjectNode ask(String prompt) {
        ObjectNode document = Json.mapper().createObjectNode();
        document.putArray("messages").addObject().put("role", "user").put("content", prompt);
        fillIn(document);
        return document;
    }

    /** Adds to the document each option that it does not set. */
    void fillIn(ObjectNode document) {
        if (model != null && !document.has("model")) {
            document.put("model", model);
        }
        if (system != null) {
            fillInSystem(document, system);
        }
        if (maxTokens != null && !document.has("max_tokens") && !document.has("max_completion_tokens")) {
            document.put("max_tokens", maxTokens);
        }
        if (temperature != null && !document.has("temperature")) {
            document.put("temperature", temperature);
        }
        if (priority != null || timeout != null) {
            ObjectNode job = document.withObject("/job");
            if (priority != null && !job.has("priority")) {
                job.put("priority", priority.name().toLowerCase(Locale.ROOT));
            }
            if (timeout != null && !job.has("timeout")) {
                job.put("timeout", timeout);
            }
        }
    }

    private static void fillInSystem(ObjectNode document, String system) {
        if (document.get("messages") instanceof ArrayNode messages) {
            for (JsonNode message : messages) {
                String role = message.path("role").asText();
                if (role.equals("system") || role.equals("developer")) {
                    return;
                }
            }
            messages.insertObject(0).put("role", "system").put("content", system);
        } else if (document.has("prompt") && !document.has("images") && !document.has("system")) {
            document.put("system", system);
        }
    }
}
