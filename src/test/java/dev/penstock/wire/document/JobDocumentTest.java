package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.wire.AllowedHosts;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JobDocumentTest {
    private static final Instant NOW = Instant.parse("2026-11-21T10:00:00Z");
    private static final JobId DERIVED = new JobId("derived");
    private static final JobDocument.Defaults DEFAULTS =
            new JobDocument.Defaults(Priority.NORMAL, "default", Duration.ofMinutes(10), Duration.ofHours(1));

    @Test
    void a_whole_job() {
        PromptJob job = valid("""
                {"model":"fast","messages":[{"role":"user","content":"Hi"}],"temperature":0.2,"max_tokens":256,
                 "metadata":{"order":"42"},"stream":false,
                 "job":{"id":"a1","priority":"high","timeout":"PT5M","deadline":"PT1M","pool":"gpu","max_attempts":2}}""");

        assertThat(job.id()).isEqualTo(new JobId("a1"));
        assertThat(job.task()).isEqualTo(Task.CHAT);
        assertThat(job.model()).isEqualTo("fast");
        assertThat(job.stream()).isFalse();
        assertThat(job.metadata()).isEqualTo(Map.of("order", "42"));
        assertThat(job.priority()).isEqualTo(Priority.HIGH);
        assertThat(job.timeout()).isEqualTo(Duration.ofMinutes(5));
        assertThat(job.deadline()).isEqualTo(NOW.plusSeconds(60));
        assertThat(job.pins()).isEqualTo(new PromptJob.Pins("gpu", null));
        assertThat(job.maxAttempts()).isEqualTo(2);
        assertThat(job.body())
                .doesNotContainKeys("job", "metadata")
                .containsEntry("temperature", new BigDecimal("0.2"));
    }

    @ParameterizedTest
    @CsvSource({"100", "100.0", "1e2", "1.0E+2"})
    void an_integer_is_sent_on_as_one_however_it_is_written(String written) {
        PromptJob job = valid("{\"prompt\":\"a\",\"max_tokens\":%s,\"job\":{\"max_attempts\":2.0}}".formatted(written));

        assertThat(job.body()).containsEntry("max_tokens", 100);
        assertThat(job.maxAttempts()).isEqualTo(2);
    }

    @Test
    void null_is_absent() {
        PromptJob job = valid("""
                {"prompt":"a","messages":null,"model":null,"system":null,"stream":null,"metadata":null,"temperature":null,
                 "job":{"id":null,"priority":null,"timeout":null,"session":null,"cache":null,"max_attempts":null}}""");

        assertThat(job).isEqualTo(valid("{\"prompt\":\"a\"}"));
        assertThat(valid("{\"prompt\":\"a\",\"job\":null}")).isEqualTo(job);
        assertThat(valid("{\"prompt\":\"a\",\"job\":{\"cache\":\"off\"}}")).isEqualTo(job);
        assertThat(BodyHash.of("{\"prompt\":\"a\",\"job\":null}".getBytes(StandardCharsets.UTF_8)))
                .isEqualTo(BodyHash.of("{\"prompt\":\"a\",\"job\":{\"id\":null}}".getBytes(StandardCharsets.UTF_8)))
                .isEqualTo(BodyHash.of("{\"prompt\":\"a\"}".getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void the_id_is_the_bodys_else_the_headers_else_the_derived_one() {
        assertThat(id("{\"prompt\":\"x\",\"job\":{\"id\":\"mine\"}}", "header")).isEqualTo("mine");
        assertThat(id("{\"prompt\":\"x\"}", "header")).isEqualTo("header");
        assertThat(id("{\"prompt\":\"x\"}", null)).isEqualTo("derived");
    }

    @Test
    void a_topic_may_leave_it_to_its_records_whose_they_are() {
        JobDocument.Defaults theirs = new JobDocument.Defaults(
                Priority.NORMAL, JobDocument.TENANT_FROM_RECORD, Duration.ofMinutes(10), Duration.ofHours(1));
        JobDocument.Arrival arrival = new JobDocument.Arrival(null, DERIVED, NOW);

        assertThat(JobDocument.parse(
                        "{\"prompt\":\"x\",\"job\":{\"tenant\":\"acme\"}}".getBytes(StandardCharsets.UTF_8),
                        arrival,
                        theirs))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Valid.class,
                        valid -> assertThat(valid.job().tenant()).isEqualTo("acme"));
        assertThat(JobDocument.parse("{\"prompt\":\"x\"}".getBytes(StandardCharsets.UTF_8), arrival, theirs))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Valid.class,
                        valid -> assertThat(valid.job().tenant()).isEqualTo("default"));
    }

    @Test
    void a_refusal_has_the_header_id_else_that_of_a_well_formed_value() {
        assertThat(refused("{\"prompt\":1,\"job\":{\"id\":\"mine\"}}", "header")
                        .id()
                        .value())
                .isEqualTo("header");
        assertThat(refused("{\"prompt\":1,\"job\":{\"id\":\"mine\"}}", null)
                        .id()
                        .value())
                .isEqualTo("mine");
        assertThat(refused("{\"job\":{\"id\":\"mine\"", null).id()).isEqualTo(DERIVED);
        assertThat(refused("{}", "not valid").id()).isEqualTo(DERIVED);
    }

    @Test
    void a_job_names_a_webhook_of_the_configuration() {
        JobDocument.Defaults theirs = new JobDocument.Defaults(
                Priority.NORMAL,
                "default",
                Duration.ofMinutes(10),
                Duration.ofHours(1),
                new JobDocument.Permissions(Set.of(), AllowedHosts.NONE, Set.of("orders", "billing")));

        assertThat(JobDocument.parse(
                        "{\"prompt\":\"a\",\"job\":{\"webhook\":\"orders\"}}".getBytes(StandardCharsets.UTF_8),
                        new JobDocument.Arrival(null, DERIVED, Instant.EPOCH),
                        theirs))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Valid.class,
                        valid -> assertThat(valid.job().webhook()).isEqualTo("orders"));
        assertThat(JobDocument.parse(
                        "{\"prompt\":\"a\",\"job\":{\"webhook\":\"order\"}}".getBytes(StandardCharsets.UTF_8),
                        new JobDocument.Arrival(null, DERIVED, Instant.EPOCH),
                        theirs))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Refused.class,
                        refused -> assertThat(refused.failure().message())
                                .isEqualTo("job.webhook: there is no webhook 'order'. Available: billing, orders"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            ``                                              | empty
            {"messages":[{"role":"user","content":"Hi"      | not valid JSON
            []                                              | $: expected a JSON object, got an array
            null                                            | $: expected a JSON object, got null
            {}                                              | one of messages, prompt, input, images, query or text_1 is needed
            {"prompt":"a","prompt":"b"}                     | not valid JSON: the field 'prompt' is there twice
            {"prompt":"a"} x                                | not valid JSON
            {"prompt":"a","messages":[]}                    | messages: cannot stand beside prompt
            {"messages":"Hi"}                               | messages: expected an array, got a string
            {"messages":[]}                                 | messages: at least one message is needed
            {"messages":[null]}                             | messages[0]: expected an object, got null
            {"messages":[{"content":"Hi"}]}                 | messages[0].role: expected a string, got nothing
            {"messages":[{"role":"user"}]}                  | messages[0].content: is needed
            {"messages":[{"role":"user","content":7}]}      | messages[0].content: expected a string or an array of parts
            {"prompt":null}                                 | one of messages, prompt, input, images, query or text_1 is needed
            {"prompt":"a","job":[]}                         | job: expected an object, got an array
            {"prompt":"a","job":{"session":7}}              | job.session: expected a string
            {"prompt":"a","job":{"cache":"exact"}}          | job.cache: is not available in this version
            {"prompt":"a","job":{"ensemble":{}}}            | job.ensemble: is not available in this version
            {"prompt":"a","job":{"webhook":"w"}}            | job.webhook: no webhook is configured (penstock.webhooks)
            {"prompt":"a","job":{"webhook":7}}              | job.webhook: expected a string, got a number
            {"prompt":"a","job":{"result":[]}}              | job.result: expected an object, got an array
            {"prompt":"a","job":{"result":{}}}              | job.result.schema: expected an object, got nothing
            {"prompt":"a","job":{"result":{"schema":{},"repairs":1}}} | job.result.repairs: unknown field; did you mean job.result.repair?
            {"prompt":"a","job":{"result":{"schema":{},"repair":3}}}  | job.result.repair: expected an integer from 0 to 2
            {"prompt":"a","job":{"result":{"schema":{},"repair":-1}}} | job.result.repair: expected an integer from 0 to 2
            {"prompt":["a","b"],"job":{"result":{"schema":{}}}} | job.result: goes with messages, or with a prompt that is one text
            {"input":"a","job":{"result":{"schema":{}}}}    | job.result: goes with messages, or with a prompt that is one text
            {"prompt":"a","n":2,"job":{"result":{"schema":{}}}} | n: must be 1 with job.result
            {"prompt":"a","job":{"result":{"schema":{"type":"objekt"}}}} | job.result.schema/type:
            {"prompt":"a","job":{"result":{"schema":{"properties":{"a":{"$ref":"https://example.com/a"}}}}}} | job.result.schema/properties/a/$ref: a reference leads to a place in this schema
            {"prompt":"a","job":{"reply_topic":"r"}}        | job.reply_topic: is not available in this version
            {"prompt":"a","max_tokens":100.5}               | max_tokens: expected an integer, got a number
            {"prompt":"a","max_tokens":1e999999999}         | max_tokens: a number has an exponent beyond 9999
            {"prompt":"a","max_tokens":1e9999}              | max_tokens: expected an integer, got a number
            {"prompt":"a","job":{"id":"a b"}}               | job.id: 1 to 128 characters
            {"prompt":"a","job":{"priorty":"high"}}         | did you mean job.priority?
            {"prompt":"a","job":{"priority":"urgent"}}      | job.priority: 'urgent' is none of high, normal, low
            {"prompt":"a","job":{"timeout":"soon"}}         | job.timeout: expected a duration such as 5m, 1h30m or PT5M
            {"prompt":"a","job":{"timeout":"PT2H"}}         | job.timeout: PT2H is above the limit, PT1H
            {"prompt":"a","job":{"deadline":"tomorrow"}}    | job.deadline: expected RFC 3339
            {"prompt":"a","job":{"deadline":"P1000000000000D"}} | job.deadline: expected RFC 3339
            {"prompt":"a","job":{"deadline":"+999999999-01-01T00:00:00Z"}} | job.deadline: expected a time between
            {"prompt":"a","job":{"node":"a\\u0000b"}}      | job.node: expected up to 256 characters on one line
            {"prompt":"a","job":{"max_attempts":0}}         | job.max_attempts: must be at least 1
            {"prompt":"a","job":{"task":"tag"}}             | job.task: 'tag' does not fit a body that holds prompt
            {"prompt":"a","job":{"tenant":"acme"}}          | job.tenant: records of this topic belong to tenant 'default'
            {"prompt":"a","stream":"yes"}                   | stream: expected a boolean, got a string
            {"prompt":"a","temperature":"hot"}              | temperature: expected a number, got a string
            {"prompt":"a","max_tokens":1.5}                 | max_tokens: expected an integer, got a number
            {"prompt":"a","metadata":{"a":1}}               | metadata.a: expected a string, got a number
            {"prompt":"a","model":7}                        | model: expected a string, got a number
            {"input":7}                                     | input: expected a string or an array, got a number
            {"images":[7]}                                  | images: expected an array of base64 strings
            {"query":7,"documents":["a"]}                   | query: expected a text, got a number
            {"query":"a"}                                   | documents: expected an array of texts, got nothing
            {"query":"a","documents":"b"}                   | documents: expected an array of texts, got a string
            {"query":"a","documents":[]}                    | documents: at least one text is needed
            {"query":"a","documents":["b",7]}               | documents[1]: expected a text, got a number
            {"query":"a","documents":[{"text":7}]}          | documents[0].text: expected a text, got a number
            {"query":"a","documents":[{"text":"b","x":1}]}  | documents[0]: expected a text, or an object with only the field text
            {"query":"a","documents":["b"],"top_n":0}       | top_n: expected a positive integer
            {"query":"a","documents":["b"],"top_n":1.5}     | top_n: expected a positive integer
            {"query":"a","documents":["b"],"return_documents":1} | return_documents: expected true or false
            {"query":"a","documents":["b"],"text_1":"c"}    | query: cannot stand beside text_1
            {"query":"a","documents":["b"],"system":"c"}    | system: goes with prompt only
            {"query":"a","documents":["b"],"job":{"task":"score"}} | job.task: 'score' does not fit a body that holds query
            {"text_1":"a"}                                  | text_2: expected a text or an array of texts, got nothing
            {"text_1":["a","b"],"text_2":"c"}               | text_1: expected one text, or as many as text_2 has (1), got 2
            {"text_1":["a","b"],"text_2":["c","d","e"]}     | text_1: expected one text, or as many as text_2 has (3), got 2
            {"prompt":"a","job":{"task":"rerank"}}          | job.task: 'rerank' does not fit a body that holds prompt
            """)
    void what_is_no_job_is_refused_naming_the_field(String document, String words) {
        JobFailure failure = refused(document, null).failure();

        assertThat(failure.code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
        assertThat(failure.message()).contains(words).doesNotContain("\n");
    }

    /** The document is well-formed: its id can be read, and the failure names the field. */
    @ParameterizedTest
    @ValueSource(strings = {"1e99999999999999999999", "1e-2147483648", "1E+2147483647", "-1e10000", "7e-10000"})
    void a_number_that_arithmetic_cannot_take_is_refused_with_its_field(String number) {
        JobDocument.Parsed.Refused refused =
                refused("{\"prompt\":\"x\",\"z\":{\"y\":[1," + number + "]},\"job\":{\"id\":\"mine\"}}", null);

        assertThat(refused.id().value()).isEqualTo("mine");
        assertThat(refused.failure().param()).isEqualTo("z.y[1]");
        assertThat(refused.failure().message())
                .startsWith("z.y[1]: a number has an exponent beyond 9999 (line 1, column ");
    }

    @Test
    void a_query_with_documents_is_a_ranking_and_two_texts_are_a_score() {
        PromptJob ranking = valid("{\"query\":\"a\",\"documents\":[\"b\",{\"text\":\"c\"}],\"top_n\":1.0}");

        assertThat(ranking.task()).isEqualTo(Task.RERANK);
        assertThat(ranking.stream()).isFalse();
        assertThat(ranking.promptSize().chars()).isEqualTo(4);
        assertThat(ranking.body()).containsEntry("top_n", 1);
        assertThat(valid("{\"query\":\"a\",\"documents\":[\"b\"],\"job\":{\"task\":\"rerank\"}}")
                        .task())
                .isEqualTo(Task.RERANK);
        for (String pairs : List.of(
                "\"a\",\"text_2\":\"b\"",
                "[\"a\"],\"text_2\":[\"b\",\"c\"]",
                "[\"a\",\"b\"],\"text_2\":[\"c\",\"d\"]")) {
            assertThat(valid("{\"text_1\":" + pairs + "}").task()).isEqualTo(Task.SCORE);
        }
    }

    @Test
    void a_chat_may_have_documents_and_a_query_of_its_own() {
        PromptJob chat = valid(
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"documents\":[{\"title\":\"b\"}],\"query\":7}");

        assertThat(chat.task()).isEqualTo(Task.CHAT);
        assertThat(chat.body()).containsKeys("documents", "query");
    }

    @Test
    void a_ranking_has_2048_documents_at_most() {
        String documents = "\"d\",".repeat(2_047);

        assertThat(valid("{\"query\":\"a\",\"documents\":[" + documents + "\"d\"]}")
                        .task())
                .isEqualTo(Task.RERANK);
        assertThat(refused("{\"query\":\"a\",\"documents\":[" + documents + "\"d\",\"d\"]}", null)
                        .failure()
                        .message())
                .isEqualTo("documents: 2048 texts at most, got 2049");
    }

    @Test
    void a_name_has_its_limit() {
        assertThat(refused("{\"prompt\":\"a\",\"model\":\"" + "m".repeat(257) + "\"}", null)
                        .failure()
                        .message())
                .contains("model: expected up to 256 characters");
    }

    @Test
    void of_a_record_that_is_too_large_the_id_is_found_without_reading_it_as_a_job() {
        assertThat(idOfTooLarge("{\"x\":{\"id\":1},\"job\":{\"a\":[{}],\"id\":\"mine\"},\"y\":[1]}", null))
                .isEqualTo("mine");
        assertThat(idOfTooLarge("{\"job\":{\"id\":\"mine\"}}", "header")).isEqualTo("header");
        assertThat(idOfTooLarge("{\"job\":{\"id\":\"mine\"}", null)).isEqualTo("derived");
        assertThat(idOfTooLarge("{\"job\":{\"id\":\"mine\"}} x", null)).isEqualTo("derived");
        assertThat(idOfTooLarge("{\"job\":7}", null)).isEqualTo("derived");
        assertThat(idOfTooLarge("[]", null)).isEqualTo("derived");
    }

    private static String idOfTooLarge(String document, @Nullable String header) {
        return JobDocument.idOfTooLarge(
                        document.getBytes(StandardCharsets.UTF_8),
                        new JobDocument.Arrival(header, DERIVED, Instant.EPOCH))
                .value();
    }

    @Test
    void invalid_utf_8_deep_nesting_and_no_value_at_all_are_refused() {
        byte[] broken = "{\"prompt\":\"ab\"}".getBytes(StandardCharsets.UTF_8);
        broken[11] = (byte) 0xC3;
        assertThat(refused(broken).failure().message()).contains("not valid UTF-8");
        String deep = "{\"prompt\":\"a\",\"x\":" + "[".repeat(5000) + "]".repeat(5000) + "}";
        assertThat(refused(deep.getBytes(StandardCharsets.UTF_8)).failure().message())
                .contains("it is nested deeper than 200 levels");
        assertThat(refused((byte[]) null).failure().message()).contains("no value");
    }

    private static String id(String document, @Nullable String header) {
        return ((JobDocument.Parsed.Valid) parse(document.getBytes(StandardCharsets.UTF_8), header))
                .job()
                .id()
                .value();
    }

    private static PromptJob valid(String document) {
        JobDocument.Parsed parsed = parse(document.getBytes(StandardCharsets.UTF_8), null);
        assertThat(parsed).isInstanceOf(JobDocument.Parsed.Valid.class);
        return ((JobDocument.Parsed.Valid) parsed).job();
    }

    private static JobDocument.Parsed.Refused refused(String document, @Nullable String header) {
        JobDocument.Parsed parsed = parse(document.getBytes(StandardCharsets.UTF_8), header);
        assertThat(parsed).isInstanceOf(JobDocument.Parsed.Refused.class);
        return (JobDocument.Parsed.Refused) parsed;
    }

    private static JobDocument.Parsed.Refused refused(byte @Nullable [] document) {
        return (JobDocument.Parsed.Refused) parse(document, null);
    }

    private static JobDocument.Parsed parse(byte @Nullable [] document, @Nullable String header) {
        return JobDocument.parse(document, new JobDocument.Arrival(header, DERIVED, NOW), DEFAULTS);
    }
}
