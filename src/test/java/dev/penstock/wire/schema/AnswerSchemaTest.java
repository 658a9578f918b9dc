package dev.penstock.wire.schema;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class AnswerSchemaTest {
    private static final String PERSON = """
            {"type": "object", "required": ["name", "tags"], "additionalProperties": false,
             "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0},
                            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 3}},
             "$defs": {"tag": {"enum": ["a", "b"]}}}""";

    private static AnswerSchema schema(String schema) throws InvalidField {
        JsonNode parsed = Json.parseLenient(schema);
        return AnswerSchema.of(Objects.requireNonNull(parsed), "schema");
    }

    private static List<String> violations(String schema, String text) throws InvalidField {
        return schema(schema).violations(text).stream()
                .map(one -> one.path() + ": " + one.message())
                .toList();
    }

    private static String refusal(String schema) {
        try {
            schema(schema);
            return "accepted";
        } catch (InvalidField e) {
            assertThat(e.failure().code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
            return e.failure().message();
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"name": "Ada", "tags": []}                       | ``
            ` {"name":"Ada","age":36,"tags":["a","b"]} `      | ``
            {"name": "", "tags": []}                          | /name: must be at least 1 characters long
            {"name": "Ada"}                                   | : required property 'tags' not found
            {"name": "Ada", "tags": ["c"]}                    | /tags/0: does not have a value in the enumeration ["a", "b"]
            {"name": "Ada", "tags": [], "age": 1.5}           | /age: number found, integer expected
            {"name": "Ada", "tags": [], "x:y": 1}             | : property 'x:y' is not defined in the schema and the schema does not allow additional properties
            []                                                | : array found, object expected
            """)
    void an_answer_fits_or_its_violations_have_their_places(String text, String violation) throws InvalidField {
        assertThat(violations(PERSON, text)).isEqualTo(violation.isEmpty() ? List.of() : List.of(violation));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "The answer is {\"name\":\"Ada\",\"tags\":[]}",
                "```json\n{\"name\":\"Ada\",\"tags\":[]}\n```",
                "{\"name\":\"Ada\",\"tags\":[]} {}",
                "{\"name\":\"Ada\",\"tags\":[]",
                "{\"name\":\"Ada\",\"tags\":[],\"name\":\"Eve\"}"
            })
    void an_answer_is_the_json_and_nothing_else(String text) throws InvalidField {
        assertThat(schema(PERSON).violations(text)).singleElement().satisfies(one -> {
            assertThat(one.path()).isEmpty();
            assertThat(one.message()).isNotEmpty().doesNotContain("\n");
        });
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://json-schema.org/draft/2020-12/schema",
                "https://json-schema.org/draft/2019-09/schema",
                "http://json-schema.org/draft-07/schema#",
                "http://json-schema.org/draft-07/schema",
                "http://json-schema.org/draft-06/schema#"
            })
    void a_schema_may_name_its_draft(String draft) throws InvalidField {
        String schema = """
                {"$schema": "%s", "$id": "https://example.com/x", "$ref": "#/definitions/a",
                 "definitions": {"a": {"type": "array", "items": {"const": 1}}}}""".formatted(draft);

        assertThat(violations(schema, "[1, 1]")).isEmpty();
        assertThat(violations(schema, "[1, 2]")).hasSize(1).allMatch(one -> one.startsWith("/1: "));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"type":"objekt"}                                | schema/type: does not have a value in the enumeration
            {"properties":{"a":{"minLength":-1}}}            | schema/properties/a/minLength:
            {"properties":[]}                                | schema/properties: array found, object expected
            {"$schema":"http://json-schema.org/draft-04/schema#"} | schema/$schema: is none of
            {"$ref":"http://example.com/x.json"}             | schema/$ref: a reference leads to a place in this schema
            {"$ref":"file:///etc/passwd"}                    | schema/$ref: a reference leads to a place in this schema
            {"items":{"$ref":"x.json#/a"}}                   | schema/items/$ref: a reference leads to a place in this schema
            {"$ref":"#name"}                                 | schema/$ref: a reference leads to a place in this schema
            {"$ref":"#/$defs/none"}                          | schema: the reference #/$defs/none leads to no part
            {"$ref":"#/x/y","x":{"y":{}}}                    | schema: the reference #/x/y leads to no part
            {"$ref":"#"}                                     | schema: refers to itself
            {"anyOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#/$defs/a"}}}} | refers to itself
            {"properties":{"a":{"$id":"http://example.com/"}}} | schema/properties/a/$id: is allowed at the top
            {"unevaluatedProperties":false}                  | schema/unevaluatedProperties: is not available in this version
            {"items":{"$dynamicRef":"#a"}}                   | schema/items/$dynamicRef: is not available in this version
            {"pattern":"(a"}                                 | schema/pattern: not a pattern of RE2
            {"pattern":"(?=a)b"}                             | schema/pattern: not a pattern of RE2
            {"pattern":"(a)\\\\1"}                           | schema/pattern: not a pattern of RE2
            {"patternProperties":{"(((a{900}){900}){900})":{}}} | schema/patternProperties/(((a{900}){900}){900}): the pattern repeats too much
            {"maximum":1e9000}                               | schema/maximum: the number is out of range
            {"multipleOf":1e-9000}                           | schema/multipleOf: the number is out of range
            """)
    void a_schema_that_is_wrong_or_unbounded_is_refused_naming_the_place(String schema, String words) {
        assertThat(refusal(schema)).contains(words).doesNotContain("\n");
    }

    @Test
    void a_schema_has_its_limits() {
        assertThat(refusal("{\"items\":".repeat(AnswerSchema.DEEPEST) + "{}" + "}".repeat(AnswerSchema.DEEPEST)))
                .contains("nested more than 50 deep");
        assertThat(refusal("{\"description\":\"" + "x".repeat(AnswerSchema.LARGEST) + "\"}"))
                .contains("the limit is 65536");
        assertThat(refusal("{\"pattern\":\"" + "x".repeat(LinearPattern.LONGEST + 1) + "\"}"))
                .contains("a pattern has up to 1000 characters");
        String chain = IntStream.range(0, 60)
                .mapToObj(i -> "\"a%d\":{\"$ref\":\"#/$defs/a%d\"}".formatted(i, i + 1))
                .collect(Collectors.joining(","));
        assertThat(refusal("{\"$defs\":{" + chain + ",\"a60\":{}}}")).contains("without an end");
    }

    @Test
    void a_name_of_a_property_is_no_keyword() throws InvalidField {
        String schema = """
                {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}, "pattern": {"type": "string"}},
                 "const": {"$ref": "http://example.com", "pattern": "(("}}""";

        assertThat(violations(schema, "{\"$ref\":\"http://example.com\",\"pattern\":\"((\"}"))
                .isEmpty();
    }

    @Test
    void a_tree_may_refer_to_itself() throws InvalidField {
        String schema = """
                {"type": "object", "required": ["value"],
                 "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}}}""";

        assertThat(violations(schema, "{\"value\":1,\"next\":{\"value\":2}}")).isEmpty();
        assertThat(violations(schema, "{\"value\":1,\"next\":{\"value\":2,\"next\":{}}}"))
                .containsExactly("/next/next: required property 'value' not found");
    }

    @Test
    void a_name_with_a_slash_or_a_tilde_can_be_referred_to() throws InvalidField {
        String schema = "{\"items\":{\"$ref\":\"#/$defs/a~1b~0c\"},\"$defs\":{\"a/b~c\":{\"const\":1}}}";

        assertThat(violations(schema, "[1]")).isEmpty();
        assertThat(violations(schema, "[2]")).hasSize(1);
    }

    @Test
    void formats_are_not_checked() throws InvalidField {
        assertThat(violations("{\"format\":\"date-time\"}", "\"soon\"")).isEmpty();
    }

    @Test
    void violations_are_limited_in_number_and_length() throws InvalidField {
        String values = IntStream.range(0, 500)
                .mapToObj(i -> "\"" + "v".repeat(100) + i + "\"")
                .collect(Collectors.joining(","));
        List<JobFailure.Misfit.Violation> violations =
                schema("{\"items\":{\"enum\":[" + values + "]}}").violations("[" + "0,".repeat(999) + "0]");

        assertThat(violations).hasSize(AnswerSchema.MOST_VIOLATIONS);
        assertThat(violations)
                .allMatch(one -> one.message().length() <= AnswerSchema.LONGEST_MESSAGE + 1)
                .allMatch(one -> !one.message().contains("\n"));
    }

    @Test
    void a_large_and_honest_answer_is_checked_to_its_end() throws InvalidField {
        String one = "{\"name\":\"Ada Lovelace\",\"age\":36,\"tags\":[\"a\",\"b\"]}";
        String schema =
                "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/person\"},\"$defs\":{\"person\":%s,\"tag\":%s}}"
                        .formatted(PERSON, "{\"enum\":[\"a\",\"b\"]}");
        String text = "[" + (one + ",").repeat(9_999) + one.replace("36", "\"36\"") + "]";

        assertThat(text.length()).isGreaterThan(500_000);
        assertThat(violations(schema, text)).containsExactly("/9999/age: string found, integer expected");
    }

    /* What wants to do harm: each check ends soon. */

    private static String defs(int count, String each) {
        return IntStream.range(0, count)
                .mapToObj(i -> "\"a%d\":%s".formatted(i, each.replace("NEXT", "#/$defs/a" + (i + 1))))
                .collect(Collectors.joining(",", "\"$defs\":{", ",\"a%d\":{}}".formatted(count)));
    }

    private static void isGivenUp(String schema, String text) throws InvalidField {
        assertThat(violations(schema, text)).containsExactly(": the check of the answer needs too many steps");
    }

    @Test
    void references_that_double_at_each_step_are_given_up() throws InvalidField {
        isGivenUp(
                "{\"$ref\":\"#/$defs/a0\",%s}"
                        .formatted(defs(24, "{\"allOf\":[{\"$ref\":\"NEXT\"},{\"$ref\":\"NEXT\"}]}")),
                "1");
    }

    @Test
    void references_that_double_at_each_level_of_the_answer_are_given_up() throws InvalidField {
        String schema = """
                {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}""";

        isGivenUp(schema, "{\"a\":".repeat(100) + "1" + "}".repeat(100));
    }

    @Test
    void more_violations_than_memory_are_given_up() throws InvalidField {
        String names = IntStream.range(0, 5_000).mapToObj(i -> "\"" + i + "\"").collect(Collectors.joining(","));

        isGivenUp("{\"items\":{\"required\":[" + names + "]}}", "[" + "{},".repeat(200_000) + "{}]");
    }

    @ParameterizedTest
    @ValueSource(strings = {"^(a+)+$", "^(a|a)*$", "^(a?){500}$", "(x+x+)+y", "(.*)*z", "^(?:|)(?:|)(?:|)(?:|)b$"})
    void a_pattern_needs_no_exponential_time(String pattern) throws InvalidField {
        String schema = "{\"pattern\":\"%s\"}".formatted(pattern);
        String text = "\"" + "a".repeat(5_000) + "x".repeat(5_000) + "!\"";

        assertThat(violations(schema, text)).hasSize(1);
    }

    @Test
    void a_large_pattern_on_a_long_text_is_given_up() throws InvalidField {
        isGivenUp("{\"pattern\":\"^([a-z]{0,900}){10}$\"}", "\"" + "a".repeat(500_000) + "!\"");
    }

    @Test
    void long_texts_that_are_checked_again_and_again_are_given_up() throws InvalidField {
        String many = IntStream.range(0, 400).mapToObj(_ -> "{\"minLength\":1}").collect(Collectors.joining(","));

        isGivenUp("{\"allOf\":[" + many + "]}", "\"" + "a".repeat(900_000) + "\"");
    }

    @Test
    void a_text_beyond_the_limit_and_a_deep_one_do_not_fit() throws InvalidField {
        assertThat(violations("{}", "\"" + "a".repeat(AnswerSchema.LONGEST_TEXT) + "\""))
                .singleElement()
                .asString()
                .contains("only up to 1000000 can be checked");
        assertThat(violations("{}", "[".repeat(500) + "]".repeat(500))).hasSize(1);
    }

    @Test
    void the_words_do_not_depend_on_the_machine() throws InvalidField {
        Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.GERMAN);
            assertThat(violations("{\"maximum\":1000}", "12345"))
                    .containsExactly(": must have a maximum value of 1000");
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void a_schema_is_an_object() {
        assertThatThrownBy(() -> schema("true")).hasMessageContaining("expected an object, got a boolean");
    }
}
