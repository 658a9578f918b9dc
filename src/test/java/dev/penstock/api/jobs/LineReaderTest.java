package dev.penstock.api.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.CountedBody;
import dev.penstock.job.JobFailure;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.IntConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LineReaderTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 1000})
    void lines_are_the_same_wherever_the_network_cuts_them(int piece) throws IOException {
        assertThat(read("{\"a\":1}\n\r\n  \n{\"b\": 2}\r\n{\"c\":3}\r{\"d\":4}\n\n {\"e\":5}", piece, 100))
                .containsExactly("1 {\"a\":1}", "4 {\"b\": 2}", "5 {\"c\":3}", "6 {\"d\":4}", "8 {\"e\":5}");
    }

    @Test
    void of_a_line_that_is_too_long_only_its_length_is_kept() throws IOException {
        LineReader lines = reader("x".repeat(50) + "\n{}\n", 5, 10);

        LineReader.Line tooLong = Objects.requireNonNull(lines.next());
        LineReader.Line next = Objects.requireNonNull(lines.next());

        assertThat(tooLong.isTooLong()).isTrue();
        assertThat(tooLong.size()).isEqualTo(50);
        assertThat(tooLong.document().get()).isEmpty();
        assertThat(next.number()).isEqualTo(2);
        assertThat(next.isTooLong()).isFalse();
        assertThat(lines.next()).isNull();
    }

    @Test
    void what_is_left_is_dropped() throws IOException {
        LineReader lines = reader("{}\n{}\n{}\n", 2, 10);

        var _ = lines.next();
        lines.drop();

        assertThat(lines.next()).isNull();
    }

    @Test
    void what_was_read_before_a_body_is_refused_stays() throws IOException {
        InputStream body = new CountedBody(
                new ByteArrayInputStream("{}\n{}\n".getBytes(StandardCharsets.UTF_8)) {
                    @Override
                    public synchronized int read(byte[] into, int offset, int length) {
                        return super.read(into, offset, Math.min(length, 4));
                    }
                },
                Duration.ofMinutes(1),
                new IntConsumer() {
                    private int bytes;

                    @Override
                    public void accept(int more) {
                        bytes += more;
                        if (bytes > 4) {
                            throw new ApiException(JobFailure.of(JobFailure.Code.TOO_LARGE, "too large"));
                        }
                    }
                },
                (_, _) -> () -> {});
        LineReader lines = new LineReader(body, 100);

        assertThat(lines.next()).isNotNull();
        assertThat(lines.next()).isNull();
        assertThat(lines.failure()).isNotNull();
        assertThat(lines.number()).isEqualTo(2);
        lines.drop();
        assertThat(lines.next()).isNull();
    }

    @Test
    void nothing_has_no_lines() throws IOException {
        assertThat(read("", 1, 10)).isEmpty();
        assertThat(read("\n\n \r\n", 1, 10)).isEmpty();
    }

    private static List<String> read(String body, int piece, int longest) throws IOException {
        LineReader lines = reader(body, piece, longest);
        List<String> all = new ArrayList<>();
        LineReader.Line line = lines.next();
        while (line != null) {
            all.add(line.number() + " " + new String(line.document().get(), StandardCharsets.UTF_8).strip());
            line = lines.next();
        }
        return all;
    }

    private static LineReader reader(String body, int piece, int longest) {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        InputStream in = InputStream.nullInputStream();
        for (int start = (bytes.length - 1) / piece * piece; start >= 0 && bytes.length > 0; start -= piece) {
            in = new SequenceInputStream(
                    new ByteArrayInputStream(bytes, start, Math.min(piece, bytes.length - start)), in);
        }
        return new LineReader(in, longest);
    }
}
