package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The filter options of commands that select several jobs. They are the filters of {@code GET /v1/jobs}. */
final class ListFilters {
    private static final int PAGE = 100;

    @Option(names = "--model", paramLabel = "M", description = "only jobs of this model")
    private @Nullable String model;

    @Option(names = "--node", paramLabel = "N", description = "only jobs whose last attempt is at this node")
    private @Nullable String node;

    @Option(names = "--tenant", paramLabel = "T", description = "only jobs of this tenant")
    private @Nullable String tenant;

    @Option(names = "--code", paramLabel = "C", description = "only jobs with this error code")
    private @Nullable String code;

    @Option(
            names = "--since",
            paramLabel = "TIME",
            description = "only jobs created at this time or later: 1h (before now) or 2026-11-21T09:00:00Z")
    private @Nullable String since;

    @Option(names = "--until", paramLabel = "TIME", description = "only jobs created before this time")
    private @Nullable String until;

    @Option(names = "--metadata", paramLabel = "KEY=VALUE", description = "only jobs with this pair; may be repeated")
    private Map<String, String> metadata = new LinkedHashMap<>();

    boolean areGiven() {
        return model != null
                || node != null
                || tenant != null
                || code != null
                || since != null
                || until != null
                || !metadata.isEmpty();
    }

    /**
     * Returns the newest jobs that match the filters. It requests them page by page.
     *
     * @param status the status of the jobs; null for any status
     * @param limit the largest number of jobs
     */
    List<JsonNode> jobs(Rest service, @Nullable String status, int limit) throws Problem, InterruptedException {
        StringBuilder filters = new StringBuilder(parameter("status", status))
                .append(parameter("model", model))
                .append(parameter("node", node))
                .append(parameter("tenant", tenant))
                .append(parameter("code", code))
                .append(parameter("since", since))
                .append(parameter("until", until));
        metadata.forEach((key, value) -> filters.append(parameter("metadata." + key, value)));
        List<JsonNode> jobs = new ArrayList<>();
        String after = "";
        do {
            int page = Math.min(PAGE, limit - jobs.size());
            JsonNode list = service.call(
                    service.request("/v1/jobs?limit=" + page + filters + after).build());
            list.path("data").forEach(jobs::add);
            after = list.hasNonNull("next")
                    ? parameter("after", list.path("next").asText())
                    : "";
        } while (!after.isEmpty() && jobs.size() < limit);
        return jobs;
    }

    private static String parameter(String name, @Nullable String value) {
        return value == null ? "" : "&" + encoded(name) + "=" + encoded(value);
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }
}
