package dev.penstock.node.program;

import dev.penstock.job.Task;
import dev.penstock.node.protocol.InlineData;
import dev.penstock.node.protocol.OpenAiProtocol;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.Translation;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Turns a prompt into the arguments and files of one of llama.cpp's programs (observed with 0.7.0). */
final class LlamaProgramRequest {
    static final String CHAT = "llama-cli";
    /** The program for two cases that llama-cli does not support: a raw prompt, and a chat with a schema. */
    static final String COMPLETION = "llama-completion";

    static final String EMBEDDING = "llama-embedding";
    static final String IMAGES = "llama-mtmd-cli";

    private static final String PROMPT_FILE = "prompt.txt";
    private static final String SYSTEM_FILE = "system.txt";
    private static final String SCHEMA_FILE = "schema.json";
    private static final String GRAMMAR_FILE = "grammar.gbnf";

    /** Marks the place of an image in a text for llama-mtmd-cli. */
    private static final String IMAGE_MARK = "<__media__>";

    /** The program's options for numbers, each with the names of the job's field. */
    private static final Map<String, List<String>> NUMBERS = Map.ofEntries(
            Map.entry("--temp", List.of("temperature")),
            Map.entry("--top-k", List.of("top_k")),
            Map.entry("--top-p", List.of("top_p")),
            Map.entry("--min-p", List.of("min_p")),
            Map.entry("--typical", List.of("typical_p")),
            Map.entry("--repeat-penalty", List.of("repetition_penalty", "repeat_penalty")),
            Map.entry("--repeat-last-n", List.of("repeat_last_n")),
            Map.entry("--presence-penalty", List.of("presence_penalty")),
            Map.entry("--frequency-penalty", List.of("frequency_penalty")),
            Map.entry("--mirostat", List.of("mirostat")),
            Map.entry("--mirostat-ent", List.of("mirostat_tau")),
            Map.entry("--mirostat-lr", List.of("mirostat_eta")),
            Map.entry("--dynatemp-range", List.of("dynatemp_range")),
            Map.entry("--dynatemp-exp", List.of("dynatemp_exponent")),
            Map.entry("--xtc-probability", List.of("xtc_probability")),
            Map.entry("--xtc-threshold", List.of("xtc_threshold")),
            Map.entry("--dry-multiplier", List.of("dry_multiplier")),
            Map.entry("--dry-base", List.of("dry_base")),
            Map.entry("--dry-allowed-length", List.of("dry_allowed_length")),
            Map.entry("--dry-penalty-last-n", List.of("dry_penalty_last_n")),
            Map.entry("--keep", List.of("n_keep")),
            Map.entry("--seed", List.of("seed")));

    private static final Pattern EFFORT = Pattern.compile("none|minimal|low|medium|high|xhigh|max");

    private final Prompt prompt;
    private final Translation translation;
    private final NodeSettings.Program program;
    private final Path model;
    private final List<String> arguments = new ArrayList<>();
    private final Map<String, byte[]> files = new LinkedHashMap<>();

    private LlamaProgramRequest(Prompt prompt, NodeSettings.Program program, Path model) {
        this.prompt = prompt;
        this.program = program;
        this.model = model;
        translation = new Translation(prompt);
    }

    static ProgramCall of(Prompt prompt, NodeSettings.Program program, Path model) throws WireProtocol.Unsupported {
        return new LlamaProgramRequest(prompt, program, model).call();
    }

    private ProgramCall call() throws WireProtocol.Unsupported {
        arguments.addAll(List.of("-m", model.toString(), "--no-escape", "--no-warmup", "--offline"));
        arguments.addAll(List.of("-lv", "4", "--log-colors", "off", "-f", PROMPT_FILE));
        LlamaArguments.SIZES.forEach((option, names) -> configured(option, names.toArray(String[]::new)));
        arguments.addAll(LlamaArguments.sizes(program));
        return switch (prompt.task()) {
            case CHAT, COMPLETION, DESCRIBE, TAG -> text();
            case EMBEDDINGS -> embedding();
            case RERANK, SCORE ->
                throw WireProtocol.Unsupported.here(
                        "job.task", "llama-cli has no " + prompt.task().wireName());
        };
    }

    private void configured(String option, String... names) {
        Object value = translation.configured(names);
        if (value != null) {
            arguments.addAll(List.of(option, String.valueOf(value)));
        }
    }

    private ProgramCall embedding() throws WireProtocol.Unsupported {
        String separator = "<#" + UUID.randomUUID() + "#>";
        Object input = translation.take("input");
        translation.take("encoding_format");
        List<String> texts = new ArrayList<>();
        for (Object one : input instanceof List<?> many ? many : List.of(input == null ? "" : input)) {
            if (!(one instanceof String text)) {
                throw WireProtocol.Unsupported.here("input", "llama-cli takes texts, and no tokens");
            }
            texts.add(text);
        }
        arguments.addAll(List.of("--embd-output-format", "json", "--embd-separator", separator));
        configured("--pooling", "pooling");
        file(PROMPT_FILE, String.join(separator, texts));
        return done(EMBEDDING, new EmbeddingOutput(prompt));
    }

    private ProgramCall text() throws WireProtocol.Unsupported {
        sampling();
        Object tokens = translation.take("max_completion_tokens", "max_tokens");
        OptionalLong limit =
                tokens instanceof Number number ? OptionalLong.of(number.longValue()) : OptionalLong.empty();
        limit.ifPresent(number -> arguments.addAll(List.of("-n", String.valueOf(number))));
        if (translation.take("n") instanceof Number n && n.intValue() > 1) {
            translation.leave("n");
        }
        StopStrings stops = StopStrings.of(translation.take("stop"));
        boolean constrained = constraint();
        if (prompt.task() == Task.COMPLETION) {
            Object system = translation.take("system");
            String text = OpenAiProtocol.single(translation.take("prompt"));
            String whole = system == null ? text : system + "\n\n" + text;
            file(PROMPT_FILE, whole);
            arguments.addAll(List.of("-no-cnv", "--no-display-prompt", "--simple-io"));
            return done(COMPLETION, TextOutput.ofCompletion(whole, false, stops, limit, this::tokens));
        }
        Conversation conversation = Conversation.of(translation.take("messages"));
        if (!conversation.images().isEmpty()) {
            return images(conversation, stops, limit);
        }
        effort();
        if (!conversation.system().isEmpty()) {
            file(SYSTEM_FILE, conversation.system());
            arguments.addAll(List.of("-sysf", SYSTEM_FILE));
        }
        String text = harmless(conversation.text());
        file(PROMPT_FILE, text);
        arguments.addAll(List.of("--single-turn", "--simple-io", "--no-display-prompt"));
        if (constrained) {
            arguments.add("-cnv");
            return done(COMPLETION, TextOutput.ofCompletion(text, true, stops, limit, this::tokens));
        }
        arguments.add("--no-show-timings");
        return done(CHAT, TextOutput.ofChat(text, stops, limit, this::tokens));
    }

    /**
     * Makes a text harmless. For llama-cli, a leading slash begins a command: {@code /read FILE} would read any file of
     * this machine.
     */
    private static String harmless(String text) {
        String trimmed = withoutZeros(text).replaceFirst("\n+$", "");
        return trimmed.startsWith("/") || trimmed.isEmpty() ? " " + trimmed : trimmed;
    }

    private ProgramCall images(Conversation conversation, StopStrings stops, OptionalLong limit) {
        String before = conversation.system().isEmpty() ? "" : conversation.system() + "\n\n";
        String text = (before + conversation.text()).replace(IMAGE_MARK, "");
        file(PROMPT_FILE, text);
        program.mmproj().ifPresent(file -> arguments.addAll(List.of("--mmproj", file.toString())));
        arguments.add("--jinja");
        for (int i = 0; i < conversation.images().size(); i++) {
            String name = "image-" + i;
            files.put(name, conversation.images().get(i));
            arguments.addAll(List.of("--image", name));
        }
        return done(IMAGES, TextOutput.ofImages(text, stops, limit, this::tokens));
    }

    private OptionalLong tokens(String text) {
        return TokenCount.of(text, program.command(), model);
    }

    private void sampling() throws WireProtocol.Unsupported {
        for (Map.Entry<String, List<String>> option : NUMBERS.entrySet()) {
            Object value = translation.take(option.getValue().toArray(String[]::new));
            if (value instanceof Number number) {
                arguments.addAll(List.of(option.getKey(), number.toString()));
            } else if (value != null) {
                throw new WireProtocol.Unsupported(option.getValue().getFirst(), "expected a number");
            }
        }
        if (Boolean.TRUE.equals(translation.take("ignore_eos"))) {
            arguments.add("--ignore-eos");
        }
        if (translation.take("logit_bias") instanceof Map<?, ?> biases) {
            for (Map.Entry<?, ?> bias : biases.entrySet()) {
                String token = String.valueOf(bias.getKey());
                if (!token.matches("\\d{1,9}") || !(bias.getValue() instanceof Number number)) {
                    throw new WireProtocol.Unsupported("logit_bias", "expected numbers by the ids of tokens");
                }
                arguments.addAll(
                        List.of("--logit-bias", token + (number.doubleValue() < 0 ? "" : "+") + number.doubleValue()));
            }
        }
    }

    private void effort() throws WireProtocol.Unsupported {
        Object effort = translation.take("reasoning_effort");
        if (effort == null) {
            return;
        }
        if (!EFFORT.matcher(String.valueOf(effort)).matches()) {
            throw new WireProtocol.Unsupported(
                    "reasoning_effort", "is none of " + EFFORT.pattern().replace("|", ", "));
        }
        arguments.addAll(
                "none".equals(effort)
                        ? List.of("--reasoning", "off")
                        : List.of("--reasoning-effort", String.valueOf(effort)));
    }

    /** @return whether the job prescribes the form of the answer, by a schema or a grammar */
    private boolean constraint() {
        Object own = translation.take("json_schema");
        Object wanted = translation.answerSchema();
        Object schema = wanted == null ? own : wanted;
        Object grammar = translation.take("grammar");
        if (schema != null && grammar != null) {
            translation.leave("grammar");
        }
        if (schema != null) {
            files.put(SCHEMA_FILE, Json.bytes(schema));
            arguments.addAll(List.of("--json-schema-file", SCHEMA_FILE));
        } else if (grammar != null) {
            file(GRAMMAR_FILE, String.valueOf(grammar));
            arguments.addAll(List.of("--grammar-file", GRAMMAR_FILE));
        }
        return schema != null || grammar != null;
    }

    private void file(String name, String text) {
        files.put(name, withoutZeros(text).getBytes(StandardCharsets.UTF_8));
    }

    /** Removes NUL characters, because a C program ends a text at its first NUL. */
    private static String withoutZeros(String text) {
        return text.replace("\0", "");
    }

    private ProgramCall done(String name, ProgramOutput output) {
        arguments.addAll(program.arguments());
        return new ProgramCall(name, arguments, files, output, translation.ignored());
    }

    /**
     * A chat for a program that takes a system prompt, one text and images.
     *
     * @param text all messages except for system messages, in their order
     */
    private record Conversation(String system, String text, List<byte[]> images) {

        static Conversation of(@Nullable Object messages) throws WireProtocol.Unsupported {
            List<String> system = new ArrayList<>();
            List<String> turns = new ArrayList<>();
            List<byte[]> images = new ArrayList<>();
            String last = "";
            for (Object message : messages instanceof List<?> list ? list : List.of()) {
                if (!(message instanceof Map<?, ?> fields)) {
                    continue;
                }
                String role = String.valueOf(fields.get("role"));
                String text = text(fields.get("content"), images);
                if (role.equals("system") || role.equals("developer")) {
                    system.add(text);
                } else {
                    turns.add(role + ": " + text);
                    last = text;
                }
            }
            String all = turns.size() > 1 ? String.join("\n\n", turns) + "\n\nassistant:" : last;
            return new Conversation(String.join("\n\n", system), all, images);
        }

        private static String text(@Nullable Object content, List<byte[]> images) throws WireProtocol.Unsupported {
            if (!(content instanceof List<?> parts)) {
                return content == null ? "" : String.valueOf(content);
            }
            StringBuilder text = new StringBuilder();
            for (Object part : parts) {
                if (!(part instanceof Map<?, ?> fields)) {
                    continue;
                }
                Object image = fields.get("image_url");
                Object url = image instanceof Map<?, ?> object ? object.get("url") : image;
                if (fields.get("text") instanceof String piece) {
                    text.append(piece);
                } else if (url instanceof String data) {
                    images.add(decoded(data));
                } else {
                    throw WireProtocol.Unsupported.here(
                            "messages", "llama-cli takes no part of type '" + fields.get("type") + "'");
                }
            }
            return text.toString();
        }

        private static byte[] decoded(String data) throws WireProtocol.Unsupported {
            try {
                return Base64.getDecoder().decode(InlineData.of(data).base64());
            } catch (IllegalArgumentException _) {
                throw new WireProtocol.Unsupported("messages", "an image is not in base64");
            }
        }
    }
}
