package dev.penstock.api.vision;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.direct.TaskBody;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.Printable;
import java.util.List;

/**
 * A call with images, as the body of a job.
 *
 * @param body the fields of a describe or tag job
 * @param single whether the caller named its image {@code image}
 */
record ImageRequest(ObjectNode body, boolean single) {
    private static final String IMAGE = "image";
    private static final String IMAGES = "images";
    private static final String FIRST = IMAGES + "[0]";
    private static final List<String> TEXTS = List.of("prompt", "model");

    /** Reads {@code {"image": …}} or {@code {"images": […]}}, beside the fields of a describe or tag job. */
    static ImageRequest ofJson(byte[] document, Task task) throws InvalidField {
        ObjectNode body = TaskBody.of(document, task);
        boolean single = body.hasNonNull(IMAGE);
        if (single == body.hasNonNull(IMAGES)) {
            throw new InvalidField(
                    IMAGE, single ? "cannot stand beside images" : "is needed: an image, or a list images");
        }
        JsonNode given = body.get(single ? IMAGE : IMAGES);
        if (single) {
            if (!given.isTextual()) {
                throw new InvalidField(IMAGE, "expected base64 or a URL, got " + Fields.kind(given));
            }
            body.remove(IMAGE);
            body.putArray(IMAGES).add(given);
        }
        JsonNode images = body.get(IMAGES);
        if (!images.isArray() || images.isEmpty()) {
            throw new InvalidField(IMAGES, "expected an array of images, got " + Fields.kind(images));
        }
        for (int i = 0; i < images.size(); i++) {
            String path = single ? IMAGE : "%s[%d]".formatted(IMAGES, i);
            if (!images.get(i).isTextual()) {
                throw new InvalidField(path, "expected base64 or a URL, got " + Fields.kind(images.get(i)));
            }
            ImageData.check(path, images.get(i).textValue());
        }
        return new ImageRequest(body, single);
    }

    /**
     * Reads a form with one or more files named {@code image}, and the optional fields {@code prompt} and {@code model}.
     *
     * @param contentType the call's content type, with the form's boundary
     */
    static ImageRequest ofForm(byte[] form, String contentType, Task task) throws InvalidField {
        ObjectNode body = Json.mapper().createObjectNode();
        ArrayNode images = Json.mapper().createArrayNode();
        for (MultipartForm.Part part : MultipartForm.parts(form, contentType)) {
            if (part.name().equals(IMAGE)) {
                images.add(image(part));
            } else if (!TEXTS.contains(part.name())) {
                throw new InvalidField(
                        Printable.line(part.name()),
                        "unknown field: a form has image, prompt and model, and JSON takes all other fields");
            } else if (part.isFile()) {
                throw new InvalidField(part.name(), "expected a text, got a file");
            } else if (body.has(part.name())) {
                throw new InvalidField(part.name(), "is given twice");
            } else {
                body.put(part.name(), part.text());
            }
        }
        if (images.isEmpty()) {
            throw new InvalidField(IMAGE, "is needed: a file");
        }
        boolean single = images.size() == 1;
        body.set(IMAGES, images);
        return new ImageRequest(TaskBody.of(body, task), single);
    }

    /** A part that is no file has the image as JSON has it. */
    private static String image(MultipartForm.Part part) throws InvalidField {
        if (part.isFile()) {
            return ImageData.url(IMAGE, part.type(), part.content().getBytes());
        }
        String text = part.text();
        ImageData.check(IMAGE, text);
        return text;
    }

    /** Returns the same failure, with the image's name in the call. */
    JobFailure named(JobFailure failure) {
        if (!single || failure.param() == null || !failure.param().startsWith(FIRST)) {
            return failure;
        }
        return new JobFailure(
                failure.code(),
                failure.message().replace(FIRST, IMAGE),
                failure.param().replace(FIRST, IMAGE),
                failure.node(),
                failure.again(),
                failure.misfit());
    }
}
