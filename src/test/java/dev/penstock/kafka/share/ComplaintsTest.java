package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.BrokerCode;
import java.util.Map;
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
    void what_a_person_must_change_is_a_refusal_until_an_answer_without_an_error() {
        complaints.answered("heartbeat", BrokerCode.RETRY, "a");
        complaints.answered("heartbeat", BrokerCode.UNKNOWN_MEMBER, "b");
        assertThat(complaints.refusals()).isEmpty();

        complaints.answered("heartbeat", BrokerCode.MEMBER_LIMIT, "c");
        complaints.answered("share session", BrokerCode.SESSION_LIMIT, "d");
        complaints.answered("heartbeat", BrokerCode.RETRY, "a");
        assertThat(complaints.refusals()).isEqualTo(Map.of("heartbeat", "c", "share session", "d"));

        complaints.answered("heartbeat", BrokerCode.NONE, "");
        assertThat(complaints.refusals()).isEqualTo(Map.of("share session", "d"));
    }

    @Test
    void a_partition_is_refused_at_once_or_if_its_error_lasts() {
        complaints.isNews(0, BrokerCode.REFUSED, "TOPIC_AUTHORIZATION_FAILED", now);
        assertThat(fails(1)).isFalse();
        assertThat(complaints.refusals()).isEqualTo(Map.of("fetch of partition 0", "TOPIC_AUTHORIZATION_FAILED"));

        long end = now + Complaints.LASTING_MILLIS;
        while (now <= end) {
            now += 100;
            fails(1);
        }
        complaints.isNews(0, BrokerCode.NONE, "", now);
        assertThat(complaints.refusals()).isEqualTo(Map.of("fetch of partition 1", "UNKNOWN_SERVER_ERROR"));
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
