package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import java.util.List;
import org.junit.jupiter.api.Test;

class ResumePointTest {
    @Test
    void what_is_written_is_read_back() {
        for (ResumePoint point : List.of(
                ResumePoint.START,
                new ResumePoint(42, new Reading(3, "k3f9", null)),
                new ResumePoint(43, new Reading(0, "k3f9", EventMark.Kind.CANCELLED)))) {
            assertThat(ResumePoint.parse(point.toString())).contains(point);
        }
    }

    @Test
    void a_foreign_text_is_refused() {
        for (String text : List.of("", "7", "x.1.r.", "1.1.r", "1.1.r.completed.x", "-1.1.r.")) {
            assertThat(ResumePoint.parse(text)).as(text).isEmpty();
        }
    }
}
