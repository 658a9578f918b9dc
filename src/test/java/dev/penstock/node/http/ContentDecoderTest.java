package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ContentDecoderTest {
    private static final String TEXT = "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße 🙂\"}}]}\n\n".repeat(50);

    @ParameterizedTest
    @ValueSource(strings = {"gzip", "x-gzip", "GZIP, identity", "deflate", "deflate bare", "identity", ""})
    void a_body_is_decoded_wherever_the_network_cuts_it(String coding) throws Exception {
        byte[] body = encoded(coding, TEXT.getBytes(StandardCharsets.UTF_8));
        String header = coding.replace(" bare", "");

        for (int cut = 0; cut <= body.length; cut++) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ContentDecoder decoder = ContentDecoder.of(header.isEmpty() ? null : header);
            decoder.feed(Arrays.copyOfRange(body, 0, cut), piece -> write(out, piece));
            decoder.feed(Arrays.copyOfRange(body, cut, body.length), piece -> write(out, piece));
            decoder.end();
            assertThat(out.toString(StandardCharsets.UTF_8))
                    .as("cut at %d", cut)
                    .isEqualTo(TEXT);
        }
    }

    @Test
    void a_body_of_several_members_is_one_text() throws Exception {
        ByteArrayOutputStream both = new ByteArrayOutputStream();
        both.writeBytes(encoded("gzip", "Hel".getBytes(StandardCharsets.UTF_8)));
        both.writeBytes(encoded("gzip", "lo".getBytes(StandardCharsets.UTF_8)));

        assertThat(ContentDecoder.text("gzip", both.toByteArray())).isEqualTo("Hello");
    }

    @Test
    void another_encoding_fails_by_its_name() {
        assertThatThrownBy(() -> ContentDecoder.of("br")).hasMessageContaining("Content-Encoding 'br'");
        assertThat(ContentDecoder.text("zstd", new byte[] {1})).contains("Content-Encoding 'zstd'");
    }

    @Test
    void a_body_that_is_cut_or_damaged_is_broken() throws Exception {
        byte[] body = encoded("gzip", TEXT.getBytes(StandardCharsets.UTF_8));
        ContentDecoder cut = ContentDecoder.of("gzip");
        cut.feed(Arrays.copyOf(body, body.length - 9), _ -> true);
        assertThatThrownBy(cut::end).hasMessageContaining("broken");

        body[body.length - 8] ^= 1;
        ContentDecoder damaged = ContentDecoder.of("gzip");
        assertThatThrownBy(() -> damaged.feed(body, _ -> true)).hasMessageContaining("broken");
    }

    @Test
    void what_a_small_body_expands_to_is_bounded() throws Exception {
        byte[] bomb = encoded("gzip", new byte[64 * 1024 * 1024]);
        long[] given = {0};
        ContentDecoder decoder = ContentDecoder.of("gzip");

        assertThatThrownBy(() -> decoder.feed(bomb, piece -> {
                    given[0] += piece.length;
                    return true;
                }))
                .hasMessageContaining("expands");
        assertThat(given[0]).isLessThan(17L * 1024 * 1024);
        decoder.close();
    }

    private static boolean write(ByteArrayOutputStream out, byte[] piece) {
        out.writeBytes(piece);
        return true;
    }

    private static byte[] encoded(String coding, byte[] plain) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        OutputStream out = switch (coding) {
            case "deflate" -> new DeflaterOutputStream(bytes);
            case "deflate bare" -> new DeflaterOutputStream(bytes, new Deflater(6, true));
            case "", "identity" -> bytes;
            default -> new GZIPOutputStream(bytes);
        };
        out.write(plain);
        out.close();
        return bytes.toByteArray();
    }
}
