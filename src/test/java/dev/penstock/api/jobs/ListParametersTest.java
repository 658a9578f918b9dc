package dev.penstock.api.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.api.OpenApiDocument;
import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobState;
import dev.penstock.ledger.database.Queries;
import jakarta.ws.rs.core.MultivaluedHashMap;
import jakarta.ws.rs.core.MultivaluedMap;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ListParametersTest {
    @ParameterizedTest
    @ValueSource(strings = {"\0", "a\0b", "a\nb", "\u0085"})
    void a_name_with_control_characters_is_no_name(String given) {
        assertThatThrownBy(() -> ListParameters.name("model", given))
                .isInstanceOfSatisfying(ApiException.class, refused -> {
                    assertThat(refused.failure().code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
                    assertThat(refused.failure().param()).isEqualTo("model");
                });
    }

    /** Otherwise the ledger would compute with them, and fail. */
    @ParameterizedTest
    @ValueSource(strings = {"+999999999-12-31T23:59:59Z", "-999999999-01-01T00:00:00Z", "+292278995-01-01T00:00:00Z"})
    void a_time_beyond_what_milliseconds_reach_is_none(String given) {
        MultivaluedMap<String, String> parameters = new MultivaluedHashMap<>();
        parameters.putSingle("since", given);

        assertThatThrownBy(() -> ListParameters.filter(parameters, Instant.EPOCH))
                .isInstanceOfSatisfying(
                        ApiException.class,
                        refused -> assertThat(refused.failure().param()).isEqualTo("since"));
    }

    @Test
    void every_filter_of_the_description_is_read() {
        Instant now = Instant.parse("2026-11-21T10:00:00Z");
        MultivaluedMap<String, String> given = new MultivaluedHashMap<>();
        given.putSingle("status", "failed");
        given.putSingle("tenant", "acme");
        given.putSingle("model", "m");
        given.putSingle("node", "gpu-a");
        given.putSingle("code", "timeout");
        given.putSingle("since", "1h30m");
        given.putSingle("until", "2026-11-21T10:30:00 01:00");
        given.putSingle("metadata.order", "42");
        given.putSingle("metadata.a.b", "");

        assertThat(ListParameters.filter(given, now))
                .isEqualTo(new Queries.Filter(
                        JobState.Status.FAILED,
                        "acme",
                        "m",
                        "gpu-a",
                        "timeout",
                        Instant.parse("2026-11-21T08:30:00Z"),
                        Instant.parse("2026-11-21T09:30:00Z"),
                        Map.of("order", "42", "a.b", "")));
        assertThat(new OpenApiDocument().queryParameters().get("GET /v1/jobs"))
                .containsExactlyInAnyOrder(
                        "status",
                        "tenant",
                        "model",
                        "node",
                        "code",
                        "since",
                        "until",
                        "metadata.KEY",
                        "after",
                        "limit");
    }

    @ParameterizedTest
    @ValueSource(strings = {"yesterday", "", "2026-11-21", "999999999999999d"})
    void what_is_no_time_is_refused(String given) {
        MultivaluedMap<String, String> parameters = new MultivaluedHashMap<>();
        parameters.putSingle("since", given);
        assertThatThrownBy(() -> ListParameters.filter(parameters, Instant.EPOCH))
                .isInstanceOfSatisfying(
                        ApiException.class,
                        refused -> assertThat(refused.failure().param()).isEqualTo("since"));
    }

    @Test
    void any_other_name_may_be_asked_for() {
        assertThat(ListParameters.name("model", "llama3.2:3b é")).isEqualTo("llama3.2:3b é");
        assertThat(ListParameters.name("tenant", null)).isNull();
    }
}
