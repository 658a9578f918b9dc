package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QueryParametersTest {
    private final QueryParameters parameters = new QueryParameters(new OpenApiDocument());

    @ParameterizedTest
    @CsvSource({
        "GET, /v1/jobs, stat",
        "GET, /v1/jobs, metadata",
        "GET, /v1/jobs, metadata.",
        "GET, /v1/jobs/a, wait",
        "POST, /v1/jobs, dry_run",
        "GET, /v1/jobs/a/events, after",
        "GET, /v1/dlq, status",
        "POST, /v1/dlq/0-1/retry, id",
        "POST, /v1/nodes, forced",
        "DELETE, /v1/nodes/a, force",
        "POST, /v1/nodes/-/models, pol",
        "POST, /v1/nodes/-/models/a%2Fb:c/unload, x",
        "DELETE, /v1/nodes/-/models/a/b:c, x",
        "GET, /v1/models/a/b, x",
    })
    void a_parameter_that_the_call_does_not_have_is_refused_by_name(String method, String path, String name) {
        assertThat(parameters.unknown(method, path, Map.of(name, List.of("1")))).hasValueSatisfying(failure -> {
            assertThat(failure.code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
            assertThat(failure.param()).isEqualTo(name);
        });
    }

    @ParameterizedTest
    @CsvSource({
        "GET, /v1/jobs, status",
        "GET, /v1/jobs/, since",
        "GET, /v1/jobs, metadata.order",
        "GET, /v1/dlq, limit",
        "POST, /v1/nodes, force",
        "POST, /v1/nodes/-/models, pool",
        "POST, /v1/nodes/-/models/a/b:c/unload, pool",
        "GET, /v1/unknown, anything",
    })
    void the_others_pass(String method, String path, String name) {
        assertThat(parameters.unknown(method, path, Map.of(name, List.of("1")))).isEmpty();
    }

    @Test
    void the_message_says_which_there_are() {
        assertThat(parameters
                        .unknown("GET", "/v1/jobs", Map.of("stat\nus", List.of("x")))
                        .map(JobFailure::message))
                .hasValueSatisfying(message -> assertThat(message)
                        .startsWith(
                                "stat?us: is not a query parameter here. Did you mean status? This call has: status,"));
        assertThat(parameters
                        .unknown("GET", "/v1/jobs", Map.of("status", List.of("queued", "running")))
                        .map(JobFailure::message))
                .hasValue("status: is given more than once");
    }
}
