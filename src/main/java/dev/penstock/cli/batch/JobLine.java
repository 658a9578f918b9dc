package dev.penstock.cli.batch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.job.Draft;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;

/** One line of a file of jobs. */
sealed interface JobLine {
    /** Returns the line's number. Lines count from 1, including blank lines. */
    long number();

    record Job(long number, Draft draft) implements JobLine {}

    record Malformed(long number, JobFailure failure) implements JobLine {}

    /**
     * Reads a line. If the job has no id, its id is a pure function of the run's name and of the line's number and
     * content. So the same file always gives the same ids.
     *
     * @param options the defaults for the line's job
     * @param run the run's name; under another name, the same lines give jobs with other ids
     */
    static JobLine read(long number, byte[] line, JobOptions options, String run) {
        JsonNode parsed;
        try {
            parsed = Json.parseStrict(line);
        } catch (Json.MalformedJson e) {
            return new Malformed(number, JobFailure.of(JobFailure.Code.INVALID_REQUEST, e.reason()));
        }
        if (!(parsed instanceof ObjectNode document)) {
            return new Malformed(
                    number, JobFailure.of(JobFailure.Code.INVALID_REQUEST, "a job document is a JSON object"));
        }
        if (document.path("job").isNull()) {
            document.remove("job");
        }
        JsonNode job = document.get("job");
        if (job != null && !job.isObject()) {
            return new Malformed(number, JobFailure.invalid("job", "expected an object"));
        }
        options.fillIn(document);
        JsonNode given = document.path("job").path("id");
        if (given.isMissingNode() || given.isNull()) {
            String content = new String(Json.bytes(document), StandardCharsets.UTF_8);
            JobId derived = JobId.fromIdempotencyKey("%s\0line %d".formatted(run, number), content);
            return new Job(number, Draft.of(derived, document));
        }
        return given.isTextual() && JobId.isValid(given.textValue())
                ? new Job(number, Draft.of(new JobId(given.textValue()), document))
                : new Malformed(number, JobFailure.invalid("job.id", JobId.RULE));
    }
}
