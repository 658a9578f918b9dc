package dev.penstock.settings;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import org.junit.jupiter.api.Test;

class RepeatedLinesTest {
    private final AtomicLong now = new AtomicLong();
    private final RepeatedLines filter = new RepeatedLines(now::get);

    @Test
    void a_library_says_the_same_once_a_minute() {
        assertThat(passes("org.apache.kafka.clients.X", "[id=a-1] Connection to node -1 failed"))
                .isTrue();
        assertThat(passes("org.apache.kafka.clients.X", "[id=a-2] Connection to node 3 failed"))
                .isFalse();
        assertThat(passes("org.apache.kafka.clients.X", "Another line")).isTrue();
        assertThat(passes("io.vertx.core.Y", "Another line")).isTrue();
        now.addAndGet(Duration.ofSeconds(61).toNanos());
        assertThat(passes("org.apache.kafka.clients.X", "[id=a-2] Connection to node 3 failed"))
                .isTrue();
    }

    @Test
    void a_line_of_the_service_always_passes() {
        assertThat(passes("dev.penstock.node.Nodes", "node=a is down")).isTrue();
        assertThat(passes("dev.penstock.node.Nodes", "node=a is down")).isTrue();
    }

    private boolean passes(String logger, String message) {
        LogRecord line = new LogRecord(Level.WARNING, message);
        line.setLoggerName(logger);
        return filter.isLoggable(line);
    }
}
