package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The protocol of Azure OpenAI. Each deployment has its own path, and the deployment's name is the model. */
final class AzureOpenAiProtocol extends OpenAiProtocol {
    private static final String API_VERSION = "2024-10-21";

    private final String query;

    /** @param apiVersion the version of the API; null for the default version, which is generally available */
    AzureOpenAiProtocol(@Nullable String apiVersion) {
        query = "?api-version="
                + URLEncoder.encode(apiVersion == null ? API_VERSION : apiVersion, StandardCharsets.UTF_8);
    }

    @Override
    public Request request(Prompt prompt) throws Unsupported {
        // the model may be any deployment, but not a path outside of the deployments
        if (Stream.of(prompt.model().split("/")).anyMatch(part -> part.equals(".") || part.equals(".."))) {
            throw new Unsupported("model", "is no name of a deployment");
        }
        return super.request(prompt);
    }

    @Override
    void own(Translation translation, Prompt prompt, boolean chat) {
        translation.passLimit(chat).pass("user", "user");
        if (chat) {
            translation.passAll(List.of("reasoning_effort", "store", "prediction", "data_sources"));
            withoutForeignFields(translation);
        }
    }

    @Override
    boolean completesInChat(String model) {
        return !OpenAiCloudProtocol.knowsCompletions(model);
    }

    @Override
    String path(String what, String model) {
        String deployment = URLEncoder.encode(model, StandardCharsets.UTF_8).replace("+", "%20");
        return "/openai/deployments/" + deployment + "/" + what + query;
    }

    @Override
    public String modelsPath() {
        return "/openai/models" + query;
    }

    /** Ignores the list, because it has the models that could be deployed, and not the deployments. */
    @Override
    public List<Model> models(JsonNode listed, List<@Nullable JsonNode> further) {
        return List.of();
    }

    @Override
    public Map<String, String> headers(@Nullable String key) {
        return key == null ? Map.of() : Map.of("api-key", key);
    }

    @Override
    public String getModel(String model) {
        return "make a deployment of that name, or name one as the node's model";
    }
}
