package dev.penstock.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.wire.Json;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ListCommandTest {
    @Test
    void a_table_of_jobs() {
        String table = ListCommand.table(
                Stream.of("""
                                {"id":"a","status":"completed","task":"chat","model":"tiny","priority":"normal","node":"gpu-a",
                                 "created_at":"2026-11-21T09:00:00Z","finished_at":"2026-11-21T09:00:01.500Z","error":null}""", """
                                {"id":"b","status":"failed","task":"chat","model":null,"priority":"high","node":null,
                                 "created_at":"2026-11-21T07:00:00Z","finished_at":"2026-11-21T07:05:00Z","error":{"code":"timeout"}}""", """
                                {"id":"c","status":"queued","task":"chat","model":"tiny","priority":"low","node":null,
                                 "created_at":"2026-11-21T09:00:00Z","waiting_for":{"code":"node_down","message":"m"}}""", """
                                {"id":"d","status":"rejected","task":null,"priority":null,"created_at":null,
                                 "finished_at":"2026-11-21T09:00:00Z","error":{"code":"invalid_request"}}""")
                        .map(job -> Objects.requireNonNull(Json.parseLenient(job)))
                        .toList(),
                Instant.parse("2026-11-21T09:00:30Z"));

        assertThat(table).isEqualTo("""
                        ID  STATUS     AGE  TOOK  TASK  MODEL  NODE   PRIORITY  WAITS FOR  ERROR
                        a   completed  30s  1.5s  chat  tiny   gpu-a  normal
                        b   failed     2h   5m    chat                high                 timeout
                        c   queued     30s        chat  tiny          low       node_down
                        d   rejected   30s  0.0s                                           invalid_request
                        """);
    }

    @Test
    void no_job_is_a_heading() {
        assertThat(ListCommand.table(List.of(), Instant.EPOCH)).startsWith("ID").hasLineCount(1);
    }
}
