package dev.penstock.cli.job;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.RecordPlace;
import org.junit.jupiter.api.Test;

class RejectionsTest {
    @Test
    void the_only_record_of_an_id_ends_the_wait_once_the_topic_is_read() throws Problem {
        Rejections rejections = new Rejections(null);
        rejections.seen(rejected(7, "invalid_request"));

        assertThatThrownBy(rejections::caughtUp).hasMessage("rejected: why (invalid_request)");
    }

    @Test
    void the_first_one_that_comes_ends_the_wait_of_a_job_without_events() throws Problem {
        Rejections rejections = new Rejections(null);
        rejections.caughtUp();

        assertThatThrownBy(() -> rejections.seen(rejected(7, "invalid_request")))
                .hasMessage("rejected: why (invalid_request)");
    }

    @Test
    void a_job_that_is_there_goes_on() {
        Rejections rejections = new Rejections(null);

        assertThatCode(() -> {
                    rejections.seen(rejected(7, "invalid_request"));
                    rejections.jobIsThere();
                    rejections.caughtUp();
                    rejections.seen(rejected(8, "invalid_request"));
                })
                .doesNotThrowAnyException();
    }

    @Test
    void another_body_means_that_there_is_another_record() {
        Rejections rejections = new Rejections(null);

        assertThatCode(() -> {
                    rejections.caughtUp();
                    rejections.seen(rejected(7, "id_conflict"));
                })
                .doesNotThrowAnyException();
    }

    @Test
    void of_an_own_record_only_that_one_counts() throws Problem {
        Rejections rejections = new Rejections(new RecordPlace("prompt-jobs", 0, 8));
        rejections.caughtUp();
        rejections.seen(rejected(7, "invalid_request"));

        assertThatThrownBy(() -> rejections.seen(rejected(8, "id_conflict"))).hasMessage("rejected: why (id_conflict)");
    }

    private static String rejected(long offset, String code) {
        return "{\"job\":{\"record\":{\"topic\":\"prompt-jobs\",\"partition\":0,\"offset\":%d}},\"error\":{\"message\":\"why\",\"code\":\"%s\"}}"
                .formatted(offset, code);
    }
}
