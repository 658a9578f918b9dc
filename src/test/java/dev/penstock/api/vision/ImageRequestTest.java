package dev.penstock.api.vision;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.wire.InvalidField;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImageRequestTest {
    private static final String PNG = "iVBORw0KGgoAAAANSUhEUg==";
    private static final String TYPE = "multipart/form-data; boundary=XX";
    private static final byte[] PNG_BYTES = Base64.getDecoder().decode(PNG);

    private static ImageRequest json(String document) throws InvalidField {
        return ImageRequest.ofJson(document.getBytes(StandardCharsets.UTF_8), Task.TAG);
    }

    private static byte[] part(String head, byte[] content) {
        ByteArrayOutputStream part = new ByteArrayOutputStream();
        part.writeBytes(("--XX\r\n" + head.replace("|", "\r\n") + "\r\n\r\n").getBytes(StandardCharsets.UTF_8));
        part.writeBytes(content);
        part.writeBytes("\r\n".getBytes(StandardCharsets.UTF_8));
        return part.toByteArray();
    }

    private static byte[] text(String name, String value) {
        return part("Content-Disposition: form-data; name=\"" + name + "\"", value.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] file(String name, String type, byte[] content) {
        return part(
                "Content-Disposition: form-data; name=\"" + name + "\"; filename=\"a.png\"|Content-Type: " + type,
                content);
    }

    private static ImageRequest form(byte[]... parts) throws InvalidField {
        ByteArrayOutputStream form = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            form.writeBytes(part);
        }
        form.writeBytes("--XX--\r\n".getBytes(StandardCharsets.UTF_8));
        return ImageRequest.ofForm(form.toByteArray(), TYPE, Task.DESCRIBE);
    }

    @Test
    void one_image_or_several_are_those_of_a_job() throws Exception {
        assertThat(json("{\"image\":\"" + PNG + "\",\"prompt\":\"What?\",\"max_tokens\":9}")
                        .body())
                .hasToString(
                        "{\"prompt\":\"What?\",\"max_tokens\":9,\"stream\":false,\"job\":{\"task\":\"tag\"},\"images\":[\""
                                + PNG + "\"]}");
        assertThat(json("{\"image\":null,\"images\":[\"" + PNG + "\",\"data:image/png;base64," + PNG
                                + "\",\"https://a.example/b.png\"]}")
                        .body()
                        .path("images"))
                .hasSize(3);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {}                                                  | image: is needed: an image, or a list images
            {"image":"iVBORw0KGgo=","images":["iVBORw0KGgo="]}  | image: cannot stand beside images
            {"image":7}                                         | image: expected base64 or a URL, got a number
            {"image":{"url":"x"}}                               | image: expected base64 or a URL, got an object
            {"images":"x"}                                      | images: expected an array of images, got a string
            {"images":[]}                                       | images: expected an array of images, got an array
            {"images":["iVBORw0KGgo=",7]}                       | images[1]: expected base64 or a URL, got a number
            {"image":""}                                        | image: the image is empty
            {"image":"no base64!"}                              | image: is neither base64 nor a data: URL
            {"image":"iVBORw0K"}                                | image: is no PNG
            {"image":"data:"}                                   | image: expected data:image/…;base64,…
            {"image":"data:;;;,"}                               | image: expected data:image/…;base64,…
            {"image":"aGVsbG8="}                                | image: is no PNG, JPEG, GIF or WebP image
            {"image":"data:image/png,abc"}                      | image: expected data:image/…;base64,…
            {"image":"data:image/png;base64,aGVsbG8="}          | image: is no PNG, JPEG, GIF or WebP image
            {"image":"data:text/html;base64,aGVsbG8="}          | image: expected an image, got text/html
            {"image":"data:;base64,iVBORw0KGgo="}               | image: expected an image, got no type
            {"images":["iVBORw0KGgo=","data:image/png;base64,?"]} | images[1]: is neither base64 nor a data: URL
            {"image":"iVBORw0KGgo=","stream":true}              | stream: the answer of this call comes as a whole
            """)
    void what_is_no_image_is_refused_with_its_field(String document, String words) {
        assertThatThrownBy(() -> json(document)).isInstanceOfSatisfying(InvalidField.class, invalid -> {
            assertThat(invalid.failure().message()).contains(words);
            assertThat(words).startsWith(String.valueOf(invalid.failure().param()));
        });
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "iVBORw0KGgo=",
                "/9j/4AAQ",
                "R0lGODlh",
                "R0lGODdh",
                "UklGRiQAAABXRUJQ",
                "data:image/avif;base64,AAAA",
                "data:image/jpeg;q=1;base64,iVBORw0KGgo=",
                " data:image/png;base64,iVBO\\nRw0KGgo= "
            })
    void images_of_all_usual_formats_pass(String image) throws Exception {
        assertThat(json("{\"image\":\"" + image + "\"}").body().path("images")).hasSize(1);
    }

    @Test
    void a_form_has_files_and_texts() throws Exception {
        ImageRequest request = form(
                file("image", "application/octet-stream", PNG_BYTES),
                text("prompt", "Wäs?"),
                text("model", "llava"),
                text("image", "https://a.example/b.png"));

        assertThat(request.body())
                .hasToString("{\"prompt\":\"Wäs?\",\"model\":\"llava\",\"images\":[\"data:image/png;base64," + PNG
                        + "\",\"https://a.example/b.png\"],\"stream\":false,\"job\":{\"task\":\"describe\"}}");
    }

    @Test
    void a_form_that_does_not_fit_is_refused_with_its_field() {
        byte[] image = file("image", "image/png", PNG_BYTES);

        assertRefused("image: is needed: a file", text("prompt", "a"));
        assertRefused("image: the image is empty", file("image", "image/png", new byte[0]));
        assertRefused(
                "image: expected an image, got text/plain", file("image", "text/plain; charset=utf-8", PNG_BYTES));
        assertRefused("image: is no PNG", file("image", "image/png", "hello".getBytes(StandardCharsets.UTF_8)));
        assertRefused("image: is neither base64", text("image", "?"));
        assertRefused("prompt: is given twice", image, text("prompt", "a"), text("prompt", "b"));
        assertRefused("prompt: expected a text, got a file", image, file("prompt", "text/plain", PNG_BYTES));
        assertRefused(
                "prompt: is no UTF-8 text",
                image,
                part("Content-Disposition: form-data; name=prompt", new byte[] {(byte) 0xff}));
        assertRefused("job\\n: unknown field", image, text("job\n", "{}"));
    }

    private static void assertRefused(String words, byte[]... parts) {
        assertThatThrownBy(() -> form(parts))
                .isInstanceOfSatisfying(
                        InvalidField.class,
                        invalid -> assertThat(invalid.failure().message()).startsWith(words));
    }

    @Test
    void an_error_about_the_only_image_names_it_as_the_caller_did() throws Exception {
        JobFailure failure = JobFailure.invalid("images[0]", "expected a data: URL");

        assertThat(json("{\"image\":\"" + PNG + "\"}").named(failure))
                .isEqualTo(JobFailure.invalid("image", "expected a data: URL"));
        assertThat(json("{\"images\":[\"" + PNG + "\"]}").named(failure)).isEqualTo(failure);
    }
}
