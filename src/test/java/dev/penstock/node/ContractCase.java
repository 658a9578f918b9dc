package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.upstream.Vectors;
import dev.penstock.wire.Json;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/** The contract of every backend. {@link Subject} brings a server to the point that a case needs. */
enum ContractCase {
    PLAIN_ANSWER("\"max_tokens\":60") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.showing(stage, prompt(stage), ContractCase::hasWords);
            heard.assertWhole();
            assertThat(heard.words()).isNotBlank();
            stage.expected().ifPresent(text -> assertThat(heard.text()).isEqualTo(text));
        }
    },
    STREAM("\"max_tokens\":60") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.showing(stage, prompt(stage), ContractCase::hasWords);
            heard.assertWhole();
            assertThat(heard.pieces()).hasSizeGreaterThan(1);
            assertThat(String.join("", heard.pieces())).isEqualTo(heard.words());
        }
    },
    COMPLETION("\"max_tokens\":40") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.showing(
                    stage,
                    prompt(stage, Task.COMPLETION, "{\"prompt\":\"Tell me about the river\",\"max_tokens\":40}"),
                    ContractCase::hasWords);
            heard.assertWhole();
            assertThat(heard.text()).isNotBlank();
            stage.expected().ifPresent(text -> assertThat(heard.text()).isEqualTo(text));
        }
    },
    EMBEDDINGS("") {
        @Override
        void check(Stage stage) throws Exception {
            List<String> inputs = List.of("the river", "a stone", "wind and rain", "fire", "sky");
            Heard many = Heard.of(
                    stage,
                    new Prompt(Task.EMBEDDINGS, stage.model(), Map.of("input", inputs), Map.of(), Map.of(), 2, null));
            many.assertWhole();
            assertThat(many.answer().embeddings()).hasSize(5);
            for (int i = 0; i < inputs.size(); i++) {
                Heard one = Heard.of(stage, embedding(stage, Map.of("input", inputs.get(i))));
                one.assertWhole();
                assertThat(numbers(one, 0)).as("order kept, batches joined").isEqualTo(numbers(many, i));
                if (stage.expected().isPresent()) {
                    assertThat(numbers(one, 0)).isEqualTo(Vectors.of(inputs.get(i)));
                }
            }
            assertThat(many.answer().usage().promptTokens()).isPositive();
            Heard base64 = Heard.of(stage, embedding(stage, Map.of("input", "fire", "encoding_format", "base64")));
            base64.assertWhole();
            assertThat(base64.answer().embeddings().getFirst()).isInstanceOf(String.class);
        }
    },
    USAGE("\"max_tokens\":20") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.of(stage, prompt(stage));
            heard.assertWhole();
            assertThat(heard.answer().usage().promptTokens()).isPositive();
            assertThat(heard.answer().usage().completionTokens()).isPositive();
        }
    },
    STOP("\"max_tokens\":2000") {
        @Override
        void check(Stage stage) throws Exception {
            assertThat(finish(stage, "stop")).isEqualTo("stop");
        }
    },
    LENGTH("\"max_tokens\":4") {
        @Override
        void check(Stage stage) throws Exception {
            assertThat(finish(stage, "length")).isEqualTo("length");
        }
    },
    TOOLS(
            "\"max_tokens\":600,\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"tools\":[{\"type\":\"function\","
                    + "\"function\":{\"name\":\"get_weather\",\"description\":\"Tells the weather\",\"strict\":true,\"parameters\":{\"type\":\"object\","
                    + "\"properties\":{\"unit\":{\"type\":\"string\",\"enum\":[\"c\",\"f\"]}},\"required\":[\"unit\"],"
                    + "\"additionalProperties\":false}}}]") {
        @Override
        void check(Stage stage) throws Exception {
            // cutting the answer within a call would break the call: llama-server even closes the connection
            Heard heard = Heard.until(stage, prompt(stage), said -> said.failure() == null && calls(said) > 0);
            heard.assertWhole();
            assertThat(calls(heard)).isPositive();
            assertThat(heard.choice().toolCalls().subList(0, calls(heard))).allSatisfy(call -> {
                assertThat(call.id()).isNotEmpty();
                assertThat(call.name()).isNotEmpty();
                assertThat(json(call.arguments()).isObject())
                        .as(call.arguments())
                        .isTrue();
            });
        }

        // only complete calls count: a model of random weights may not stop calling
        private int calls(Heard said) {
            int calls = said.choice().toolCalls().size();
            return "length".equals(said.choice().finishReason()) ? calls - 1 : calls;
        }
    },
    JSON_SCHEMA(
            "\"max_tokens\":400,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"r\",\"strict\":true,"
                    + "\"schema\":{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"}},\"required\":[\"ok\"],"
                    + "\"additionalProperties\":false}}}") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.of(stage, prompt(stage));
            heard.assertWhole();
            assertThat(json(heard.text()).isObject()).as(heard.text()).isTrue();
            assertThat(heard.ignored()).isEmpty();
        }
    },
    REASONING("\"max_tokens\":300") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.until(
                    stage, prompt(stage), said -> said.choice().text().containsKey(TokenEvent.Field.REASONING));
            heard.assertWhole();
            assertThat(heard.choice().text().get(TokenEvent.Field.REASONING)).isNotBlank();
        }
    },
    UNICODE("\"max_tokens\":60") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.showing(stage, prompt(stage), ContractCase::hasWords);
            heard.assertWhole();
            assertThat(heard.words()).isNotBlank().doesNotContain("\uFFFD");
            stage.expected().ifPresent(text -> assertThat(heard.text()).isEqualTo(text));
        }
    },
    ERROR_BEFORE_THE_FIRST_TOKEN("\"max_tokens\":20") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.of(stage, prompt(stage));
            assertThat(heard.pieces()).isEmpty();
            JobFailure failure = heard.requireFailure();
            assertThat(failure.code()).isNotEqualTo(JobFailure.Code.STREAM_BROKEN);
            assertThat(failure.message()).contains(stage.client().title()).doesNotContain("\n");
        }
    },
    ERROR_IN_MID_STREAM("\"max_tokens\":2000") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.of(stage, prompt(stage));
            assertThat(heard.requireFailure().code().remedy()).isEqualTo(JobFailure.Remedy.RETRY);
            assertThat(heard.requireFailure().message()).contains(stage.client().title());
        }
    },
    CUT_IN_MID_STREAM("\"max_tokens\":2000") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.of(stage, prompt(stage));
            assertThat(heard.pieces()).isNotEmpty();
            assertThat(heard.requireFailure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
        }
    },
    CONNECT_TIMEOUT("\"max_tokens\":20") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.of(stage, prompt(stage));
            assertThat(heard.requireFailure().code()).isEqualTo(JobFailure.Code.NODE_UNREACHABLE);
            assertThat(heard.requireFailure().message())
                    .startsWith(stage.client().title() + " could not be reached");
        }
    },
    FIRST_TOKEN_TIMEOUT("\"max_tokens\":20") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.of(stage, prompt(stage));
            assertThat(heard.pieces()).isEmpty();
            assertThat(heard.requireFailure().code()).isEqualTo(JobFailure.Code.FIRST_TOKEN_TIMEOUT);
            Conditions.await(stage.idle()::getAsBoolean, Duration.ofSeconds(30), "the server is free again");
        }
    },
    IDLE_TIMEOUT("\"max_tokens\":2000") {
        @Override
        void check(Stage stage) throws Exception {
            Heard heard = Heard.until(stage, prompt(stage), said -> said.failure() != null);
            assertThat(heard.pieces()).isNotEmpty();
            assertThat(heard.requireFailure().code()).isEqualTo(JobFailure.Code.IDLE_TIMEOUT);
            Conditions.await(stage.idle()::getAsBoolean, Duration.ofSeconds(30), "the server is free again");
        }
    },
    CANCEL("\"max_tokens\":1500") {
        @Override
        void check(Stage stage) throws Exception {
            // a model of random weights may end its answer at once
            boolean spoke = false;
            for (int i = 0; i < TRIES && !spoke; i++) {
                try (TokenStream stream = stage.client().stream(prompt(stage))) {
                    spoke = speaks(stream);
                }
            }
            assertThat(spoke).as("it says a word").isTrue();
            Conditions.await(stage.idle()::getAsBoolean, Duration.ofSeconds(30), "the server is free again");
        }
    };

    private static final int TRIES = 5;

    private final String parameters;

    ContractCase(String parameters) {
        this.parameters = parameters;
    }

    abstract void check(Stage stage) throws Exception;

    /** @return false if it ended before its first word */
    private static boolean speaks(TokenStream stream) throws InterruptedException {
        TokenEvent event = Heard.next(stream);
        while (!(event instanceof TokenEvent.Text)) {
            assertThat(event).as("before it speaks").isNotInstanceOf(TokenEvent.Broken.class);
            if (event instanceof TokenEvent.End) {
                return false;
            }
            event = Heard.next(stream);
        }
        return true;
    }

    String title() {
        return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }

    Prompt prompt(Stage stage) {
        return prompt(
                stage,
                Task.CHAT,
                "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],%s}".formatted(stage.says(), parameters));
    }

    private static String finish(Heard heard) {
        heard.assertWhole();
        return Objects.requireNonNull(heard.choice().finishReason());
    }

    String finish(Stage stage, String wanted) throws Exception {
        return finish(Heard.showing(
                stage, prompt(stage), said -> wanted.equals(said.choice().finishReason())));
    }

    private static boolean hasWords(Heard said) {
        return said.pieces().size() > 1;
    }

    static Prompt prompt(Stage stage, Task task, String body) {
        Map<String, Object> fields = Json.mapper().convertValue(json(body), new TypeReference<>() {});
        return Prompt.of(task, stage.model(), fields, Map.of(), Map.of(), 0);
    }

    private static Prompt embedding(Stage stage, Map<String, Object> body) {
        return new Prompt(Task.EMBEDDINGS, stage.model(), body, Map.of(), Map.of(), 0, null);
    }

    /** Rounds: a server computes a batch in another order than single inputs. */
    private static List<Float> numbers(Heard heard, int index) {
        JsonNode vector = Json.mapper().valueToTree(heard.answer().embeddings().get(index));
        List<Float> numbers = new ArrayList<>();
        vector.forEach(number -> numbers.add(Math.round(number.floatValue() * 1000) / 1000f));
        return numbers;
    }

    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text), text);
    }
}
