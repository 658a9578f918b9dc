package dev.penstock.intake.watch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.LogLines;
import org.junit.jupiter.api.Test;

class WarningsTest {
    private final Warnings warnings = new Warnings();

    @Test
    void a_warning_is_logged_once_until_its_words_change() {
        try (LogLines log = LogLines.of(Warnings.class)) {
            warnings.warn("slots.a", "2 too many");
            warnings.warn("slots.a", "2 too many");
            warnings.warn("slots.a", "3 too many");

            assertThat(log.lines()).containsExactly("WARN 2 too many", "WARN 3 too many");
            assertThat(warnings.all()).containsEntry("slots.a", "3 too many");
        }
    }

    @Test
    void a_warning_with_figures_keeps_its_first_words_until_it_ends() {
        try (LogLines log = LogLines.of(Warnings.class)) {
            warnings.warnOnce("window.a-0", () -> "81 of 100");
            warnings.warnOnce("window.a-0", () -> "82 of 100");
            assertThat(warnings.all()).containsEntry("window.a-0", "81 of 100");

            warnings.end("window.a-0");
            assertThat(warnings.isInForce("window.a-0")).isFalse();
            warnings.warnOnce("window.a-0", () -> "90 of 100");

            assertThat(warnings.isInForce("window.a-0")).isTrue();
            assertThat(log.lines()).containsExactly("WARN 81 of 100", "WARN 90 of 100");
        }
    }

    @Test
    void warnings_end_by_what_they_are_about() {
        warnings.warn("slots.a", "a");
        warnings.warn("slots.b", "b");
        warnings.warn("replicas", "c");

        warnings.endIf(about -> about.startsWith("slots."));

        assertThat(warnings.all()).containsOnlyKeys("replicas");
    }
}
