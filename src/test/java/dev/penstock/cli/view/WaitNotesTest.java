package dev.penstock.cli.view;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.job.EventMark;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class WaitNotesTest {
    private static final Duration SOON = Duration.ofMillis(1);

    private final BlockingQueue<String> notes = new LinkedBlockingQueue<>();
    private final BlockingQueue<Boolean> asked = new LinkedBlockingQueue<>();

    @Test
    void each_reason_why_a_job_waits_is_reported_once_until_its_first_event() throws Exception {
        BlockingQueue<String> reasons = new LinkedBlockingQueue<>(List.of("down", "down", "", "full", "full"));
        try (WaitNotes waiting = WaitNotes.start(
                listener(),
                () -> {
                    asked.add(true);
                    String why = reasons.poll();
                    return Optional.ofNullable(why == null || why.isEmpty() ? null : why);
                },
                SOON)) {
            assertThat(notes.poll(20, TimeUnit.SECONDS)).isEqualTo("the job waits: down");
            assertThat(notes.poll(20, TimeUnit.SECONDS)).isEqualTo("the job waits: full");
            waiting.on(new ValidEvent(new EventMark(EventMark.Kind.STARTED, 1, "r", 0), true, "{}"));
        }
        assertThat(notes).isEmpty();
        assertThat(asked.size()).isGreaterThan(3);
    }

    private EventListener listener() {
        return new EventListener() {
            @Override
            public void on(ValidEvent event) {}

            @Override
            public void note(String line) {
                notes.add(line);
            }
        };
    }
}
