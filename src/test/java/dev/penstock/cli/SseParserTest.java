package dev.penstock.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SseParserTest {
    private static final String STREAM = """
            :penstock

            id: 7.1.k3f9.
            event: started
            data: {"text":"Grüße 🙂"}

            data:a
            data: b
            data
            retry: 100

            event: nothing

            id
            event:completed
            data: {}

            data: cut off""";

    private static final List<SseParser.Event> EVENTS = List.of(
            new SseParser.Event("started", "7.1.k3f9.", "{\"text\":\"Grüße 🙂\"}"),
            new SseParser.Event("message", "7.1.k3f9.", "a\nb\n"),
            new SseParser.Event("completed", "", "{}"));

    @ParameterizedTest
    @ValueSource(strings = {"\n", "\r", "\r\n"})
    void the_same_events_wherever_the_bytes_are_split(String lineEnd) {
        byte[] bytes = ("\uFEFF" + STREAM).replace("\n", lineEnd).getBytes(StandardCharsets.UTF_8);

        for (int split = 0; split <= bytes.length; split++) {
            SseParser parser = new SseParser();
            List<SseParser.Event> events = new ArrayList<>();
            events.addAll(parser.feed(ByteBuffer.wrap(bytes, 0, split)));
            events.addAll(parser.feed(ByteBuffer.wrap(bytes, split, bytes.length - split)));
            assertThat(events).as("split at %d", split).isEqualTo(EVENTS);
        }
    }

    @Test
    void the_same_events_byte_by_byte() {
        SseParser parser = new SseParser();
        List<SseParser.Event> events = new ArrayList<>();
        for (byte b : STREAM.getBytes(StandardCharsets.UTF_8)) {
            events.addAll(parser.feed(ByteBuffer.wrap(new byte[] {b})));
        }
        assertThat(events).isEqualTo(EVENTS);
    }
}
