package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.OpenAiStream;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The protocol of OpenAI's chat completions, completions and embeddings, streamed as server-sent events, and of the
 * rankings that some of these servers add. Each subclass adds the fields and rules of one kind of server.
 */
public abstract sealed class OpenAiProtocol implements WireProtocol
        permits VllmProtocol,
                OpenAiCloudProtocol,
                AzureOpenAiProtocol,
                LmStudioProtocol,
                LlamaServerProtocol,
                OpenAiCompatibleProtocol {

    /** The fields that every such server takes. */
    static final List<String> COMMON = List.of(
            "temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs");

    private static final List<String> CHAT =
            List.of("messages", "parallel_tool_calls", "response_format", "top_logprobs");

    private static final Set<String> FOREIGN = Set.of("reasoning", "thinking_blocks", "cache_control", "is_error");

    /**
     * The most inputs in one embeddings request. The number is limited, because the answer is one document that is in
     * memory as a whole.
     */
    private static final int MOST_INPUTS = 128;

    @Override
    public Request request(Prompt prompt) throws Unsupported {
        Translation translation = new Translation(prompt);
        if (prompt.task() == Task.EMBEDDINGS) {
            translation.take("input");
            embeddings(translation);
            return translation.to(
                    path("embeddings", prompt.model()), "input", EmbeddingsParser.inputs(prompt, MOST_INPUTS));
        }
        if (!prompt.task().answersInText()) {
            return scores(translation, prompt);
        }
        boolean chat = inChat(prompt);
        translation.put("stream", true).put("stream_options", Map.of("include_usage", true));
        Object n = translation.take("n");
        if (takesN() || !(n instanceof Number number && number.intValue() > 1)) {
            translation.put("n", takesN() ? n : null);
        } else {
            translation.leave("n");
        }
        if (prompt.task() == Task.COMPLETION) {
            prompts(translation, chat);
        }
        translation.passAll(COMMON);
        if (chat) {
            tools(translation.passAll(CHAT));
        }
        if (chat && prompt.task() == Task.COMPLETION) {
            translation.passLogprobsInChat();
        }
        own(translation, prompt, chat);
        if (prompt.published() != null) {
            continued(translation, prompt, prompt.published().text(), chat);
        }
        return translation.to(path(chat ? "chat/completions" : "completions", prompt.model()));
    }

    /**
     * Asks for the rest of a text. A completion continues its prompt, so the text is the end of the prompt. In a chat, it
     * is the last message, and the two flags ask the server to leave this message open.
     */
    private static void continued(Translation translation, Prompt prompt, String text, boolean chat) {
        if (chat) {
            List<?> messages = translation.written("messages") instanceof List<?> given ? given : List.of();
            translation
                    .put("messages", prompt.withPublished(messages))
                    .put("continue_final_message", true)
                    .put("add_generation_prompt", false);
        } else {
            Object given = translation.written("prompt");
            translation.put("prompt", (given instanceof List<?> one ? one.getFirst() : given) + text);
        }
    }

    /**
     * Every completion can be continued, because its answer is nothing but the rest of its prompt. OpenAI's API has no
     * way to continue a message of a chat: a last message of the assistant is a complete turn.
     */
    @Override
    public Continues continues(Prompt prompt, String text) {
        if (!prompt.task().answersInText() || prompt.task() == Task.TAG) {
            return Continues.CANNOT;
        }
        if (inChat(prompt)) {
            return chatContinues();
        }
        return prompt.asked().get("prompt") instanceof List<?> many && many.size() != 1
                ? Continues.CANNOT
                : Continues.SENDS_THE_REST;
    }

    /** What a server can compare. */
    enum Comparing {
        /** It compares no texts. */
        NOTHING,
        /** It ranks documents. So it also gives the scores of several texts for one text. */
        ONE_WITH_MANY,
        /** It ranks documents, and it gives the scores of any pairs. */
        ANY_PAIRS
    }

    /** Returns what the server can compare. A server may still have no model for it. */
    Comparing compares() {
        return Comparing.NOTHING;
    }

    /** Takes the fields that only this server's rankings and scores have. */
    void scores(Translation translation) {}

    /** Builds a request for a ranking, or for scores. Documents are sent as texts, because few servers take objects. */
    private Request scores(Translation translation, Prompt prompt) throws Unsupported {
        Comparing compares = compares();
        if (compares == Comparing.NOTHING) {
            throw Unsupported.here(
                    "job.task", "this backend has no " + prompt.task().wireName());
        }
        boolean ranks = prompt.task() == Task.RERANK;
        Object left = translation.take(ranks ? "query" : "text_1");
        List<String> right = RankingParser.texts(translation.take(ranks ? "documents" : "text_2"));
        if (ranks) {
            // servers without this field return the documents, or do not: the parser adds or drops them
            translation.take("return_documents");
            translation.pass("top_n", "top_n");
        }
        scores(translation);
        if (!ranks && compares == Comparing.ANY_PAIRS) {
            List<String> lefts = RankingParser.texts(left);
            translation
                    .put("text_1", lefts.size() == 1 ? lefts.getFirst() : lefts)
                    .put("text_2", right);
            return translation.to(path("score", prompt.model()));
        }
        translation.put("query", single("text_1", left)).put("documents", right);
        return translation.to(path("rerank", prompt.model()));
    }

    /** Returns whether the server can continue a message of a chat. */
    Continues chatContinues() {
        return Continues.CANNOT;
    }

    private void prompts(Translation translation, boolean chat) throws Unsupported {
        Object system = translation.take("system");
        Object given = translation.take("prompt");
        if (!chat) {
            String before = system == null ? "" : system + "\n\n";
            translation
                    .put(
                            "prompt",
                            given instanceof List<?> many
                                    ? many.stream().map(one -> before + one).toList()
                                    : before + given)
                    .passAll(ofCompletions());
            return;
        }
        List<Object> messages = new ArrayList<>();
        if (system != null) {
            messages.add(Map.of("role", "system", "content", system));
        }
        messages.add(Map.of("role", "user", "content", single(given)));
        translation.put("messages", messages);
    }

    /** Returns the only prompt of a completion that is sent as a chat. */
    public static String single(@Nullable Object prompt) throws Unsupported {
        return single("prompt", prompt);
    }

    private static String single(String name, @Nullable Object given) throws Unsupported {
        List<String> texts = RankingParser.texts(given);
        if (texts.size() > 1) {
            throw Unsupported.here(name, "this backend takes one %s at a time, not %d".formatted(name, texts.size()));
        }
        return texts.getFirst();
    }

    /** Takes the tools and the tool choice. */
    void tools(Translation translation) throws Unsupported {
        Tools.of(translation).into(translation);
    }

    /** Takes the fields that only this server has, and the limit of the answer's length. */
    abstract void own(Translation translation, Prompt prompt, boolean chat);

    /** Takes the fields of this server's embeddings requests, except for the input. */
    void embeddings(Translation translation) {
        translation.passAll(List.of("encoding_format", "dimensions", "user"));
    }

    /** Returns the fields that completions have and chats do not. */
    List<String> ofCompletions() {
        return List.of("suffix", "echo", "best_of");
    }

    /** Returns whether to send a completion as a chat, because the model only has chats. */
    boolean completesInChat(String model) {
        return false;
    }

    /** Returns whether the server can return several choices. */
    boolean takesN() {
        return true;
    }

    String path(String what, String model) {
        return "/v1/" + what;
    }

    private boolean inChat(Prompt prompt) {
        return prompt.task() != Task.COMPLETION || completesInChat(prompt.model());
    }

    @Override
    public AnswerParser parser(Prompt prompt) {
        if (prompt.task() == Task.EMBEDDINGS) {
            return new EmbeddingsParser(prompt, EmbeddingsParser.Shape.OPENAI, MOST_INPUTS);
        }
        if (!prompt.task().answersInText()) {
            return new RankingParser(prompt);
        }
        int each = takesN() && prompt.asked().get("n") instanceof Number n ? Math.max(1, n.intValue()) : 1;
        int prompts = prompt.asked().get("prompt") instanceof List<?> many ? many.size() : 1;
        return new OpenAiStream(inChat(prompt), each * prompts);
    }

    @Override
    public String modelsPath() {
        return "/v1/models";
    }

    @Override
    public List<Model> models(JsonNode listed, List<@Nullable JsonNode> further) {
        List<Model> models = new ArrayList<>();
        for (JsonNode model : listed.path("data")) {
            // vLLM has max_model_len, llama-server has meta.n_ctx
            JsonNode context = model.has("max_model_len")
                    ? model.get("max_model_len")
                    : model.path("meta").path("n_ctx");
            Long longest = context.isNumber() ? context.longValue() : null;
            for (String name : names(model)) {
                models.add(new Model(name, isLoaded(model), longest, tasks()));
            }
        }
        return models;
    }

    /** Returns the tasks that a model of this kind of server may have. */
    private Set<Task> tasks() {
        return compares() == Comparing.NOTHING ? Model.WITHOUT_SCORES : EnumSet.allOf(Task.class);
    }

    /**
     * Returns all names of a listed model. vLLM lists each name as a model of its own. llama-server lists one name, and
     * the others as its aliases.
     */
    private static Set<String> names(JsonNode model) {
        Set<String> names = new LinkedHashSet<>(List.of(model.path("id").asText()));
        model.path("aliases").forEach(alias -> names.add(alias.asText()));
        names.removeIf(String::isEmpty);
        return names;
    }

    /** Returns whether a listed model can answer without being loaded first. */
    boolean isLoaded(JsonNode model) {
        return true;
    }

    /**
     * Removes the fields that OpenAI's own API refuses from messages and tools: the thoughts of earlier answers, and
     * Anthropic's marks.
     */
    static void withoutForeignFields(Translation translation) {
        for (String name : List.of("messages", "tools")) {
            if (translation.written(name) instanceof List<?> items) {
                translation.put(
                        name,
                        items.stream().map(OpenAiProtocol::withoutForeignFields).toList());
            }
        }
    }

    private static Object withoutForeignFields(Object item) {
        if (!(item instanceof Map<?, ?> fields)) {
            return item;
        }
        Map<Object, Object> copy = new LinkedHashMap<>(fields);
        FOREIGN.forEach(copy::remove);
        for (String list : List.of("content", "tool_calls")) {
            if (copy.get(list) instanceof List<?> parts) {
                copy.put(
                        list,
                        parts.stream().map(OpenAiProtocol::withoutForeignFields).toList());
            }
        }
        return copy;
    }

    /** Returns a copy of an object with one more field. */
    static Map<String, Object> with(@Nullable Object object, String name, Object value) {
        Map<String, Object> copy = new LinkedHashMap<>();
        if (object instanceof Map<?, ?> fields) {
            fields.forEach((key, held) -> copy.put(String.valueOf(key), held));
        }
        copy.put(name, value);
        return copy;
    }
}
