package dev.penstock.api.vision;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.wire.InvalidField;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MultipartFormTest {
    /** As curl sends it. */
    private static final String CURL = """
            --------------------------d74496d66958873e
            Content-Disposition: form-data; name="prompt"

            What is
            this?
            --------------------------d74496d66958873e
            Content-Disposition: form-data; name="image"; filename="cat \\"1\\".png"
            Content-Type: image/png

            PNG
            --------------------------d74496d66958873e--
            """.replace("\n", "\r\n");

    private static final String CURL_TYPE = "multipart/form-data; boundary=------------------------d74496d66958873e";

    private static List<MultipartForm.Part> parts(String body, String type) throws InvalidField {
        return MultipartForm.parts(body.getBytes(StandardCharsets.UTF_8), type);
    }

    @Test
    void the_parts_of_a_form_are_read() throws Exception {
        List<MultipartForm.Part> parts = parts(CURL, CURL_TYPE);

        assertThat(parts).hasSize(2);
        assertThat(parts.getFirst().name()).isEqualTo("prompt");
        assertThat(parts.getFirst().isFile()).isFalse();
        assertThat(parts.getFirst().type()).isNull();
        assertThat(parts.getFirst().text()).isEqualTo("What is\r\nthis?");
        assertThat(parts.getLast().name()).isEqualTo("image");
        assertThat(parts.getLast().isFile()).isTrue();
        assertThat(parts.getLast().type()).isEqualTo("image/png");
        assertThat(parts.getLast().text()).isEqualTo("PNG");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "multipart/form-data; boundary=XX",
                "Multipart/Form-Data;boundary=\"XX\"",
                " multipart/form-data ; boundary=XX "
            })
    void the_boundary_may_be_quoted(String type) throws Exception {
        assertThat(parts("--XX\r\ncontent-disposition:form-data;name=a\r\n\r\n\r\n--XX--", type))
                .singleElement()
                .satisfies(part -> assertThat(part.content().length()).isZero());
    }

    @Test
    void the_name_of_a_file_does_not_hide_the_name_of_the_field() throws Exception {
        String head = "--XX\r\nContent-Disposition: form-data; filename=\"a; name=b\"; name=\"c\"\r\n\r\nx\r\n--XX--";

        assertThat(parts(head, "multipart/form-data; boundary=XX"))
                .singleElement()
                .satisfies(part -> assertThat(part.name()).isEqualTo("c"));
    }

    /** An empty form, and bytes that begin like a boundary. */
    @Test
    void only_a_whole_boundary_ends_a_part() throws Exception {
        assertThat(parts("--XX--", "multipart/form-data; boundary=XX")).isEmpty();
        assertThat(parts(
                        "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--X\r\n-\r\n--XX--",
                        "multipart/form-data; boundary=XX"))
                .singleElement()
                .satisfies(part -> assertThat(part.text()).isEqualTo("\r\n--X\r\n-"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', nullValues = "none", textBlock = """
            ``                                                                  | does not begin with its boundary
            {"image":"a"}                                                       | does not begin with its boundary
            --XX                                                                | a boundary is not a line of its own
            --XXY\\r\\n                                                         | a boundary is not a line of its own
            --XX\\r\\nContent-Disposition: form-data; name=a                    | a part has no end
            --XX\\r\\nContent-Disposition: form-data; name=a\\r\\n\\r\\nb       | a part has no end
            --XX\\r\\nContent-Disposition: form-data; name=a\\r\\n\\r\\nb--XX-- | a part has no end
            --XX\\r\\n\\r\\nb\\r\\n--XX--                                       | a part has no name
            --XX\\r\\nContent-Type: image/png\\r\\n\\r\\nb\\r\\n--XX--          | a part has no name
            --XX\\r\\nContent-Disposition: attachment; name=a\\r\\n\\r\\nb\\r\\n--XX-- | a part has no name
            --XX\\r\\nContent-Disposition: form-data; name=\\r\\n\\r\\nb\\r\\n--XX--   | a part has no name
            --XX\\r\\nContent-Disposition: form-data; name=a; name=b\\r\\n\\r\\nb\\r\\n--XX-- | a part has two names
            --XX\\r\\nContent-Disposition: form-data; name=a\\r\\nContent-Transfer-Encoding: base64\\r\\n\\r\\nb\\r\\n--XX-- | a part is encoded as base64
            """)
    void what_is_no_form_is_refused(String body, String words) {
        assertThatThrownBy(() -> parts(body.strip().replace("\\r\\n", "\r\n"), "multipart/form-data; boundary=XX"))
                .isInstanceOfSatisfying(
                        InvalidField.class,
                        invalid -> assertThat(invalid.failure().message())
                                .contains("no well-formed multipart/form-data")
                                .contains(words));
    }

    @Test
    void a_form_has_64_parts_at_most_and_short_heads() {
        String part = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n";

        assertThatThrownBy(() -> parts(part.repeat(65) + "--XX--", "multipart/form-data; boundary=XX"))
                .hasMessageContaining("more than 64 parts");
        assertThatThrownBy(() -> parts(
                        "--XX\r\nX: " + "x".repeat(9_000) + "\r\n" + part.substring(6) + "--XX--",
                        "multipart/form-data; boundary=XX"))
                .hasMessageContaining("a part has no end");
        assertThatThrownBy(() -> parts("--XX--", "multipart/form-data")).hasMessageContaining("no boundary");
    }

    @Test
    void a_long_name_of_a_file_is_read() throws Exception {
        String head = "--XX\r\nContent-Disposition: form-data; filename=\"" + "\\x".repeat(4_000)
                + "\"; name=a\r\n\r\nx\r\n--XX--";

        assertThat(parts(head, "multipart/form-data; boundary=XX")).hasSize(1);
    }

    /** Whatever comes, it is read or refused. */
    @Test
    void broken_forms_are_refused_and_nothing_else_happens() {
        Random random = new Random(7);
        byte[] whole = CURL.getBytes(StandardCharsets.UTF_8);
        int read = 0;
        for (int i = 0; i < 20_000; i++) {
            byte[] broken = whole.clone();
            for (int changes = random.nextInt(1, 4); changes > 0; changes--) {
                broken[random.nextInt(broken.length)] =
                        (byte) (random.nextBoolean() ? "\r\n-\";:=".charAt(random.nextInt(7)) : random.nextInt(256));
            }
            try {
                read += MultipartForm.parts(broken, CURL_TYPE).isEmpty() ? 0 : 1;
            } catch (InvalidField e) {
                assertThat(e.failure().message()).contains("multipart/form-data");
            }
        }
        assertThat(read).isBetween(1, 19_999);
    }
}
