package dev.penstock.cli.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.wire.document.ErrorDocument;
import java.util.List;
import org.junit.jupiter.api.Test;

class ValidEventTest {
    @Test
    void each_violation_has_its_line() {
        JobFailure failure = JobFailure.misfit(
                "the answer does not fit",
                new JobFailure.Misfit(
                        "{}",
                        List.of(
                                new JobFailure.Misfit.Violation("/a", "is missing"),
                                new JobFailure.Misfit.Violation("", "is wrong"))));

        assertThat(ValidEvent.failure(ErrorDocument.of(failure).path("error")))
                .isEqualTo("the answer does not fit (invalid_result)");
        assertThat(ValidEvent.violations(ErrorDocument.of(failure).path("error")))
                .containsExactly("  /a: is missing", "  the whole answer: is wrong");
    }

    @Test
    void another_failure_has_no_violations() {
        assertThat(ValidEvent.violations(
                        ErrorDocument.of(JobFailure.invalid("x", "wrong")).path("error")))
                .isEmpty();
    }
}
