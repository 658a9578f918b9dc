package dev.penstock.settings.log;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
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
    void clients_of_one_broker_say_the_same() {
        String words =
                "Connection to node 1 (localhost/127.0.0.1:9092) could not be established. Node may not be available.";
        String logger = "org.apache.kafka.clients.NetworkClient";

        assertThat(passes(logger, "[Producer clientId=penstock-replies] " + words))
                .isTrue();
        assertThat(passes(logger, "[AdminClient clientId=penstock-audit] " + words))
                .isFalse();
        assertThat(passes(logger, "[ShareConsumer clientId=penstock-a-1, groupId=acme.penstock.a] " + words))
                .isFalse();
        assertThat(passes(logger, "[Producer clientId=penstock-replies] Something else"))
                .isTrue();
    }

    @Test
    void the_pool_of_the_database_and_the_exporter_of_traces_are_quiet_too() {
        for (String logger : List.of("io.agroal.pool", "io.opentelemetry.exporter.internal.http.HttpExporter")) {
            assertThat(passes(logger, "Connection refused")).isTrue();
            assertThat(passes(logger, "Connection refused")).isFalse();
        }
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
