package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
            List<SseParser.Event> events = new ArrayList<>();
            SseParser parser = new SseParser(events::add);
            parser.feed(ByteBuffer.wrap(bytes, 0, split));
            parser.feed(ByteBuffer.wrap(bytes, split, bytes.length - split));
            assertThat(events).as("split at %d", split).isEqualTo(EVENTS);
        }
    }

    @Test
    void the_same_events_byte_by_byte() {
        List<SseParser.Event> events = new ArrayList<>();
        SseParser parser = new SseParser(events::add);
        for (byte b : STREAM.getBytes(StandardCharsets.UTF_8)) {
            parser.feed(new byte[] {b});
        }
        assertThat(events).isEqualTo(EVENTS);
    }

    /** Compares random streams, cut at random, with a reader that follows the format line by line. */
    @Test
    void any_stream_is_read_as_the_format_says() {
        RandomGenerator random = new SplittableRandom(21);
        String[] lines = {
            "data: a",
            "data:b",
            "data:  c",
            "data",
            "data:",
            ":note",
            "event: x",
            "event:",
            "id: 7",
            "id",
            "id: \0",
            "retry: 5",
            "odd: 1",
            "odd",
            "",
            "",
            "data: \u00fc\ud83d\ude42",
            "\uFEFFdata: d",
            " data: e",
            "data: f: g"
        };
        String[] ends = {"\n", "\r", "\r\n"};
        for (int run = 0; run < 3_000; run++) {
            StringBuilder stream = new StringBuilder(random.nextInt(4) == 0 ? "\uFEFF" : "");
            for (int i = random.nextInt(20); i >= 0; i--) {
                stream.append(lines[random.nextInt(lines.length)]);
                stream.append(i == 0 && random.nextBoolean() ? "" : ends[random.nextInt(ends.length)]);
            }
            byte[] bytes = stream.toString().getBytes(StandardCharsets.UTF_8);
            List<SseParser.Event> events = new ArrayList<>();
            SseParser parser = new SseParser(events::add);
            for (int at = 0; at < bytes.length; ) {
                int to = Math.min(bytes.length, at + 1 + random.nextInt(6));
                parser.feed(Arrays.copyOfRange(bytes, at, to));
                at = to;
            }
            assertThat(events).as("%s", stream).isEqualTo(reference(stream.toString()));
        }
    }

    private static List<SseParser.Event> reference(String stream) {
        String text = stream.startsWith("\uFEFF") ? stream.substring(1) : stream;
        String[] lines = text.split("\r\n|\r|\n", -1);
        List<SseParser.Event> events = new ArrayList<>();
        List<String> data = new ArrayList<>();
        String name = "";
        String id = "";
        // text after the last line end is no line
        for (String line : Arrays.copyOf(lines, lines.length - 1)) {
            Matcher field = Pattern.compile("(?s)([^:]*)(?:: ?(.*))?").matcher(line);
            assertThat(field.matches()).isTrue();
            String value = field.group(2) == null ? "" : field.group(2);
            if (line.isEmpty()) {
                if (!data.isEmpty()) {
                    events.add(new SseParser.Event(name.isEmpty() ? "message" : name, id, String.join("\n", data)));
                }
                data.clear();
                name = "";
            } else if (field.group(1).equals("data")) {
                data.add(value);
            } else if (field.group(1).equals("event")) {
                name = value;
            } else if (field.group(1).equals("id") && !value.contains("\0")) {
                id = value;
            }
        }
        return events;
    }
}
