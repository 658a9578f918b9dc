package dev.penstock.wire.record;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import java.util.Optional;
import org.apache.kafka.common.header.Headers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EventHeadersTest {
    private static Headers headers(String attempt) {
        Headers headers =
                EventHeaders.of(EventHeaders.utf8("job"), new EventMark(EventMark.Kind.STARTED, 1, "run", 0), null);
        headers.remove("attempt");
        return headers.add("attempt", EventHeaders.utf8(attempt));
    }

    @Test
    void a_mark_comes_back_as_it_was() {
        EventMark mark = new EventMark(EventMark.Kind.COMPLETED, 3, "run", 7);

        assertThat(EventHeaders.mark(EventHeaders.of(EventHeaders.utf8("job"), mark, null)))
                .hasValue(mark);
    }

    @ParameterizedTest
    @ValueSource(strings = {"1000000001", "2147483647", "2147483648", "x", ""})
    void a_record_with_such_an_attempt_is_another_programs(String attempt) {
        assertThat(EventHeaders.mark(headers(attempt))).isEmpty();
    }

    @Test
    void an_outcome_can_follow_every_attempt_that_counts() {
        Optional<EventMark> largest = EventHeaders.mark(headers("1000000000"));

        Reading reading = Reading.START.after(largest.orElseThrow());

        assertThat(reading.nextRunAttempt()).isPositive();
    }
}
