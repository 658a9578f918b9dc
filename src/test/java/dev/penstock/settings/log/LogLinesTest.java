package dev.penstock.settings.log;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.jboss.logmanager.ExtFormatter;
import org.jboss.logmanager.ExtLogRecord;
import org.jboss.logmanager.Level;
import org.jboss.logmanager.formatters.JsonFormatter;
import org.jboss.logmanager.formatters.PatternFormatter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the console's lines through the real formatters. */
class LogLinesTest {
    private static final ExtFormatter PLAIN =
            new PatternFormatter("%d{HH:mm:ss,SSS} %-5p [%c{3.}] (%t) %s tenant=%X{tenant}%e%n");

    private final LogLines filter = new LogLines();

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a\n2026-11-29 10:00:00,000 INFO  [dev.pen] forged",
                "a\r\nb",
                "a\u2028b",
                "a\u0085b",
                "\033[2J\033]0;title\007",
                "\u009b31m",
                "\u202Egnol",
                "\0"
            })
    void whatever_a_parameter_says_is_one_line_of_printable_text(String said) {
        ExtLogRecord record = new ExtLogRecord(
                Level.WARN, "model=%s is gone", ExtLogRecord.FormatStyle.PRINTF, LogLinesTest.class.getName());
        record.setLoggerName("dev.penstock.node.Nodes");
        record.setParameters(new Object[] {said});
        record.putMdc("tenant", said);

        assertThat(filter.isLoggable(record)).isTrue();

        String plain = PLAIN.format(record);
        assertThat(plain).endsWith(System.lineSeparator()).contains("model=", "is gone tenant=");
        assertClean(plain.stripTrailing());
        assertClean(new JsonFormatter().format(record).stripTrailing());
    }

    @ParameterizedTest
    @CsvSource({
        "io.vertx.core.net.impl.ConnectionBase, Connection reset, false",
        "io.vertx.core.net.impl.ConnectionBase, Broken pipe, false",
        "io.vertx.core.net.impl.ConnectionBase, no such frame, true",
        "dev.penstock.node.Node, Connection reset, true"
    })
    void a_caller_that_has_left_is_no_error(String logger, String words, boolean told) {
        ExtLogRecord record = new ExtLogRecord(Level.ERROR, words, LogLinesTest.class.getName());
        record.setLoggerName(logger);

        assertThat(filter.isLoggable(record)).isEqualTo(told);
    }

    @Test
    void a_stack_trace_keeps_its_lines_and_its_words_are_one_line() {
        Exception cause = new IllegalArgumentException("its cause\n\tat dev.penstock.Forged\033[1m");
        Exception failure = new IllegalStateException("first\nforged line", cause);
        failure.addSuppressed(new IllegalStateException("closed\rtoo"));
        ExtLogRecord record = new ExtLogRecord(Level.ERROR, "a call failed", LogLinesTest.class.getName());
        record.setThrown(failure);

        filter.isLoggable(record);

        String plain = PLAIN.format(record);
        assertThat(plain.lines())
                .filteredOn(line -> !line.isBlank()
                        && !line.strip().startsWith("at ")
                        && !line.strip().startsWith("..."))
                .satisfiesExactly(
                        line -> assertThat(line).contains("java.lang.IllegalStateException: first\\nforged line"),
                        line -> assertThat(line).contains("Suppressed: java.lang.IllegalStateException: closed\\rtoo"),
                        line -> assertThat(line)
                                .contains(
                                        "Caused by: java.lang.IllegalArgumentException: its cause\\n\\tat dev.penstock.Forged\\u001b[1m"));
        assertThat(plain).contains("LogLinesTest.java");
    }

    @Test
    void causes_that_go_in_circles_end() {
        Exception one = new IllegalStateException("one\n");
        Exception other = new IllegalStateException("other", one);
        one.initCause(other);
        ExtLogRecord record = new ExtLogRecord(Level.ERROR, "a call failed", LogLinesTest.class.getName());
        record.setThrown(one);

        filter.isLoggable(record);

        assertThat(PLAIN.format(record)).contains("IllegalStateException: one\\n");
    }

    @Test
    void an_exception_with_plain_words_is_left_as_it_is() {
        Exception failure = new IllegalStateException("plain", new IllegalArgumentException());
        ExtLogRecord record = new ExtLogRecord(Level.ERROR, "a call failed", LogLinesTest.class.getName());
        record.setThrown(failure);

        filter.isLoggable(record);

        assertThat(record.getThrown()).isSameAs(failure);
    }

    @Test
    void no_message_whatever_breaks_a_line() {
        Random random = new Random(9);
        for (int i = 0; i < 5_000; i++) {
            StringBuilder said = new StringBuilder();
            random.ints(random.nextInt(12), 0, 0x3000).forEach(said::appendCodePoint);
            ExtLogRecord record = new ExtLogRecord(
                    Level.INFO, "said {0}", ExtLogRecord.FormatStyle.MESSAGE_FORMAT, LogLinesTest.class.getName());
            record.setParameters(new Object[] {said.toString()});

            filter.isLoggable(record);

            assertClean(PLAIN.format(record).stripTrailing());
        }
    }

    private static void assertClean(String line) {
        assertThat(line.codePoints()
                        .noneMatch(c -> c < 0x20
                                || (c >= 0x7F && c <= 0x9F)
                                || (c >= 0x2028 && c <= 0x202E)
                                || (c >= 0x2066 && c <= 0x2069)))
                .as(line)
                .isTrue();
    }
}
