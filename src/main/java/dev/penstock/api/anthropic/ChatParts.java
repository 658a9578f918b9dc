package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Optional;

/**
 * Translates the content blocks of a user and of a tool's result into the parts of a chat's message: text, images and
 * documents.
 *
 * @param hosts the hosts of the images to which a block may refer by URL
 */
record ChatParts(AllowedHosts hosts) {

    /** Returns one text or blocks of text as parts. */
    ArrayNode texts(String path, JsonNode content) throws InvalidField {
        ArrayNode parts = Json.mapper().createArrayNode();
        if (content.isTextual()) {
            if (!content.textValue().isEmpty()) {
                parts.addObject().put("type", "text").set("text", content);
            }
            return parts;
        }
        if (!content.isArray()) {
            throw new InvalidField(path, "expected a string or an array of blocks, got " + Fields.kind(content));
        }
        for (int i = 0; i < content.size(); i++) {
            String place = path + "[" + i + "]";
            ObjectNode block = MessagesRequest.object(place, content.get(i));
            if (!block.path("type").asText("").equals("text")) {
                throw new InvalidField(place + ".type", "only blocks of type 'text' are allowed here");
            }
            add(place, block, parts);
        }
        return parts;
    }

    /** Returns a single plain text as a text, because every server takes it. */
    static JsonNode inShort(ArrayNode parts) {
        if (parts.isEmpty()) {
            return TextNode.valueOf("");
        }
        JsonNode first = parts.get(0);
        return parts.size() == 1 && first.path("type").asText().equals("text") && !CacheMark.isAt(first)
                ? first.get("text")
                : parts;
    }

    static InvalidField unavailable(String path, ObjectNode block, String where) {
        String type = block.path("type").asText("");
        return new InvalidField(
                path + ".type",
                type.isEmpty()
                        ? "is needed"
                        : "'%s' is not available in %s in this version"
                                .formatted(MessagesRequest.shortened(type), where));
    }

    /** Adds the parts for a block. */
    void add(String path, ObjectNode block, ArrayNode parts) throws InvalidField {
        switch (block.path("type").asText("")) {
            case "text" -> parts.addObject().put("type", "text").put("text", text(path, block, "text"));
            case "image" -> {
                ObjectNode part = parts.addObject().put("type", "image_url");
                part.putObject("image_url").put("url", image(path + ".source", block.path("source")));
            }
            case "document" -> document(path, block, parts);
            default -> throw unavailable(path, block, "a message");
        }
        CacheMark.copy(path, block, (ObjectNode) parts.get(parts.size() - 1));
    }

    private String image(String path, JsonNode given) throws InvalidField {
        ObjectNode source = MessagesRequest.object(path, given);
        return switch (source.path("type").asText("")) {
            case "base64" -> data(path, source);
            case "url" -> {
                String url = text(path, source, "url").strip();
                if (!isAllowed(url)) {
                    throw new InvalidField(
                            path + ".url",
                            "only URLs of the hosts in penstock.images.allowed-hosts are allowed: send the image in base64");
                }
                yield url;
            }
            default -> throw unavailable(path, source, "an image");
        };
    }

    private boolean isAllowed(String url) {
        try {
            return hosts.allow(new URI(url));
        } catch (URISyntaxException _) {
            return false;
        }
    }

    private static String data(String path, ObjectNode source) throws InvalidField {
        String type = text(path, source, "media_type");
        if (!type.matches("[a-z]+/[A-Za-z0-9.+-]+")) {
            throw new InvalidField(path + ".media_type", "expected a media type, such as image/png");
        }
        return "data:" + type + ";base64," + text(path, source, "data");
    }

    /**
     * Adds a document: its title and context, then its text. A document in base64 becomes a file, and its title is the
     * file's name.
     */
    private void document(String path, ObjectNode block, ArrayNode parts) throws InvalidField {
        if (block.path("citations").path("enabled").asBoolean(false)) {
            throw new InvalidField(path + ".citations", "is not available in this version: leave it out");
        }
        Fields fields = new Fields(path + ".", block);
        Optional<String> title = fields.text("title");
        Optional<String> context = fields.text("context");
        ObjectNode source = MessagesRequest.object(path + ".source", block.path("source"));
        StringBuilder words = new StringBuilder();
        switch (source.path("type").asText("")) {
            case "base64" -> {
                context.ifPresent(text -> parts.addObject().put("type", "text").put("text", text));
                parts.addObject()
                        .put("type", "file")
                        .putObject("file")
                        .put("filename", title.orElse("document.pdf"))
                        .put("file_data", data(path + ".source", source));
                return;
            }
            case "text" -> words.append(text(path + ".source", source, "data"));
            case "content" -> {
                for (JsonNode part : texts(path + ".source.content", source.path("content"))) {
                    words.append(words.isEmpty() ? "" : "\n\n")
                            .append(part.path("text").asText());
                }
            }
            default -> throw unavailable(path + ".source", source, "a document");
        }
        context.ifPresent(text -> words.insert(0, text + "\n\n"));
        title.ifPresent(text -> words.insert(0, text + "\n\n"));
        parts.addObject().put("type", "text").put("text", words.toString());
    }

    /** Returns a text that the block must have. */
    static String text(String path, ObjectNode block, String name) throws InvalidField {
        return new Fields(path + ".", block)
                .text(name)
                .orElseThrow(() -> new InvalidField(path + "." + name, "is needed"));
    }
}
