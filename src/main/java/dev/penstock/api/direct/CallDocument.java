package dev.penstock.api.direct;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.wire.document.JobDocument;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/** Turns the request of a direct call into a job. Its headers stand for fields of the object {@code job}. */
public final class CallDocument {
    private static final String HEADER = "x-penstock-";
    private static final List<String> FIELDS = List.of("priority", "timeout", "session", "pool", "node", "cache");
    /** The fields of {@code job} that belong to a record. */
    private static final List<String> OF_RECORDS = List.of("id", "reply_topic", "retry_of", "webhook", "response");

    private static final Map<String, String> SERVICE_TIERS = Map.of("flex", "low", "priority", "high");

    private CallDocument() {}

    /**
     * Returns the job of a call.
     *
     * @param body the request in OpenAI's shape
     * @param headers returns all values of a header
     * @param id the id of the job
     */
    public static JobDocument.Parsed parse(
            ObjectNode body,
            Function<String, List<String>> headers,
            JobId id,
            Instant now,
            JobDocument.Defaults defaults) {
        JsonNode given = body.get("job");
        ObjectNode job = body.objectNode();
        if (given instanceof ObjectNode own) {
            job.setAll(own);
        }
        for (String field : OF_RECORDS) {
            if (job.has(field)) {
                return refused(
                        id,
                        JobFailure.invalid(
                                "job." + field, "belongs to jobs, and not to a call that is answered at once"));
            }
        }
        Map<String, String> byHeader = new TreeMap<>();
        for (String field : FIELDS) {
            List<String> values = headers.apply(HEADER + field);
            if (values.size() > 1) {
                return refused(id, JobFailure.invalid(HEADER + field, "is given more than once"));
            }
            if (values.isEmpty()) {
                continue;
            }
            if (job.hasNonNull(field)) {
                return refused(id, JobFailure.invalid(HEADER + field, "cannot stand beside job." + field));
            }
            job.put(field, values.getFirst().strip());
            byHeader.put("job." + field, HEADER + field);
        }
        String tier = SERVICE_TIERS.get(body.path("service_tier").asText());
        if (tier != null && !job.hasNonNull("priority")) {
            job.put("priority", tier);
        }
        ObjectNode root = body.objectNode();
        root.setAll(body);
        if (given == null || given.isObject()) {
            root.set("job", job);
        }
        if (!body.hasNonNull("stream")) {
            root.put("stream", false);
        }
        JobDocument.Parsed parsed = JobDocument.parse(root, new JobDocument.Arrival(null, id, now), defaults);
        return parsed instanceof JobDocument.Parsed.Refused(JobId _, JobFailure failure)
                ? refused(id, naming(failure, byHeader))
                : parsed;
    }

    private static JobDocument.Parsed refused(JobId id, JobFailure failure) {
        return new JobDocument.Parsed.Refused(id, failure);
    }

    /** Returns the failure with the header in place of the field, if the caller gave the header. */
    private static JobFailure naming(JobFailure failure, Map<String, String> byHeader) {
        String header = failure.param() == null ? null : byHeader.get(failure.param());
        return header == null
                ? failure
                : new JobFailure(
                        failure.code(),
                        failure.message().replace(failure.param(), header),
                        header,
                        failure.node(),
                        failure.again(),
                        failure.misfit());
    }
}
