package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.BrokerCode;
import org.junit.jupiter.api.Test;

class ComplaintsTest {
    private final Complaints complaints = new Complaints();
    private long now = 1_000;

    private boolean fails(int partition) {
        return complaints.isNews(partition, BrokerCode.RETRY, "UNKNOWN_SERVER_ERROR", now);
    }

    @Test
    void a_complaint_is_news_once() {
        assertThat(complaints.isNews("a")).isTrue();
        assertThat(complaints.isNews("a")).isFalse();
        assertThat(complaints.isNews(0, BrokerCode.REFUSED, "b", now)).isTrue();
        assertThat(complaints.isNews(1, BrokerCode.REFUSED, "b", now)).isFalse();
    }

    @Test
    void what_a_new_group_answers_until_its_state_exists_is_no_news() {
        for (int i = 0; i < 50; i++) {
            assertThat(fails(0)).isFalse();
            assertThat(fails(1)).isFalse();
            now += 100;
        }
    }

    @Test
    void an_error_that_lasts_is_news() {
        long end = now + Complaints.LASTING_MILLIS;
        while (now < end) {
            assertThat(fails(0)).isFalse();
            now += 100;
        }
        assertThat(fails(0)).isTrue();
        assertThat(fails(0)).isFalse();
    }

    @Test
    void errors_with_answers_or_quiet_between_them_do_not_last() {
        fails(0);
        fails(1);
        for (int i = 0; i < 20; i++) {
            now += Complaints.PASSED_MILLIS;
            complaints.isNews(0, BrokerCode.NONE, "", now);
            assertThat(fails(0)).isFalse();
            now++;
            assertThat(fails(1)).isFalse();
        }
    }
}
