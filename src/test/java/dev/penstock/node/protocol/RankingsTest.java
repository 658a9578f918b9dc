package dev.penstock.node.protocol;

import static dev.penstock.node.protocol.RequestRig.body;
import static dev.penstock.node.protocol.RequestRig.map;
import static dev.penstock.node.protocol.RequestRig.protocol;
import static dev.penstock.node.protocol.RequestRig.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.http.NodeErrors;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.Recording;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Rankings of documents, and scores of pairs of texts. */
class RankingsTest {
    private static final String RANKING = "{\"query\":\"hello\",\"documents\":[\"one\",{\"text\":\"two words\"}]%s}";
    private static final String PAIRS = "{\"text_1\":\"hello\",\"text_2\":[\"one\",\"two words\"]}";

    @Test
    void vllm_ranks_texts_and_has_fields_of_its_own() throws Exception {
        WireProtocol.Request sent = request(
                Backend.VLLM,
                Task.RERANK,
                RANKING.formatted(
                        ",\"top_n\":1,\"return_documents\":false,\"truncate_prompt_tokens\":9,\"unheard\":1"));

        assertThat(sent.path()).isEqualTo("/v1/rerank");
        assertThat(body(sent))
                .hasToString(
                        "{\"model\":\"m\",\"top_n\":1,\"truncate_prompt_tokens\":9,\"query\":\"hello\",\"documents\":[\"one\",\"two words\"]}");
        assertThat(sent.ignored()).containsExactly("unheard");
    }

    @Test
    void vllm_scores_any_pairs() throws Exception {
        WireProtocol.Request one = request(Backend.VLLM, Task.SCORE, PAIRS);
        WireProtocol.Request many =
                request(Backend.VLLM, Task.SCORE, "{\"text_1\":[\"a\",\"b\"],\"text_2\":[\"c\",\"d\"]}");

        assertThat(one.path()).isEqualTo("/v1/score");
        assertThat(body(one)).hasToString("{\"model\":\"m\",\"text_1\":\"hello\",\"text_2\":[\"one\",\"two words\"]}");
        assertThat(body(many)).hasToString("{\"model\":\"m\",\"text_1\":[\"a\",\"b\"],\"text_2\":[\"c\",\"d\"]}");
    }

    @ParameterizedTest
    @EnumSource(names = {"LLAMA_SERVER", "OPENAI_COMPATIBLE"})
    void other_servers_score_one_text_with_many_by_a_ranking(Backend backend) throws Exception {
        WireProtocol.Request one = request(backend, Task.SCORE, PAIRS);

        assertThat(one.path()).isEqualTo("/v1/rerank");
        assertThat(body(one))
                .hasToString("{\"model\":\"m\",\"query\":\"hello\",\"documents\":[\"one\",\"two words\"]}");
        assertThatThrownBy(() -> request(backend, Task.SCORE, "{\"text_1\":[\"a\",\"b\"],\"text_2\":[\"c\",\"d\"]}"))
                .isInstanceOfSatisfying(WireProtocol.Unsupported.class, unsupported -> {
                    assertThat(unsupported.failure().code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
                    assertThat(unsupported.failure().message()).contains("one text_1 at a time, not 2");
                });
    }

    @Test
    void an_unknown_server_gets_all_fields() throws Exception {
        WireProtocol.Request sent =
                request(Backend.OPENAI_COMPATIBLE, Task.RERANK, RANKING.formatted(",\"rank_fields\":[\"text\"]"));

        assertThat(sent.path()).isEqualTo("/v1/rerank");
        assertThat(body(sent).at("/rank_fields/0").asText()).isEqualTo("text");
        assertThat(body(sent).path("documents")).hasToString("[\"one\",\"two words\"]");
        assertThat(sent.ignored()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(names = {"OLLAMA", "OPENAI", "AZURE_OPENAI", "ANTHROPIC", "LM_STUDIO"})
    void a_backend_without_rankings_leaves_them_to_others(Backend backend) {
        for (Map.Entry<Task, String> asked :
                Map.of(Task.RERANK, RANKING.formatted(""), Task.SCORE, PAIRS).entrySet()) {
            assertThatThrownBy(() -> request(backend, asked.getKey(), asked.getValue()))
                    .isInstanceOfSatisfying(WireProtocol.Unsupported.class, unsupported -> {
                        assertThat(unsupported.failure().code().remedy()).isEqualTo(JobFailure.Remedy.OTHER_NODE);
                        assertThat(unsupported.failure().message())
                                .contains("has no " + asked.getKey().wireName());
                    });
        }
    }

    @Test
    void a_server_that_compares_nothing_is_not_asked_by_a_job_without_a_model() {
        String listed = "{\"data\":[{\"id\":\"m\"}]}";

        assertThat(tasks(Backend.VLLM, listed)).isEqualTo(EnumSet.allOf(Task.class));
        assertThat(tasks(Backend.LLAMA_SERVER, listed)).contains(Task.RERANK, Task.SCORE);
        assertThat(tasks(Backend.OPENAI, listed)).doesNotContain(Task.RERANK, Task.SCORE);
        assertThat(tasks(Backend.OLLAMA, "{\"models\":[{\"name\":\"m\"}]}")).doesNotContain(Task.RERANK, Task.SCORE);
    }

    private static Set<Task> tasks(Backend backend, String listed) {
        return protocol(backend)
                .models(RequestRig.json(listed), Collections.singletonList(null))
                .getFirst()
                .tasks();
    }

    @Test
    void a_recorded_ranking_is_read() {
        List<TokenEvent> said = said(
                Backend.VLLM,
                Task.RERANK,
                RANKING.formatted(""),
                Recording.of("vllm/rerank").body());

        assertThat(said)
                .containsExactly(
                        new TokenEvent.Model("tiny-embed"),
                        scored(1, 0.9299039840698242, "two words"),
                        scored(0, 0.8822313547134399, "one"),
                        new TokenEvent.Spent(new Usage(19, 0)),
                        new TokenEvent.End());
    }

    @Test
    void recorded_scores_are_read_in_the_order_of_the_pairs() {
        assertThat(said(
                        Backend.VLLM,
                        Task.SCORE,
                        PAIRS,
                        Recording.of("vllm/score").body()))
                .containsExactly(
                        new TokenEvent.Model("tiny-embed"),
                        scored(0, 0.8822313547134399, null),
                        scored(1, 0.9299039840698242, null),
                        new TokenEvent.Spent(new Usage(19, 0)),
                        new TokenEvent.End());
    }

    /** In the form of llama-server's source: no documents, and older versions neither sort nor cut. */
    @Test
    void order_length_and_documents_are_those_of_the_request() {
        String unsorted =
                "{\"model\":\"m\",\"object\":\"list\",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7},\"results\":[{\"index\":0,\"relevance_score\":-3.5},{\"index\":1,\"relevance_score\":2}]}";

        assertThat(said(Backend.LLAMA_SERVER, Task.RERANK, RANKING.formatted(",\"top_n\":1"), unsorted))
                .containsExactly(
                        new TokenEvent.Model("m"),
                        scored(1, 2, "two words"),
                        new TokenEvent.Spent(new Usage(7, 0)),
                        new TokenEvent.End());
        assertThat(said(
                        Backend.LLAMA_SERVER,
                        Task.RERANK,
                        RANKING.formatted(",\"top_n\":9,\"return_documents\":false"),
                        unsorted))
                .contains(scored(1, 2, null), scored(0, -3.5, null));
        assertThat(said(Backend.LLAMA_SERVER, Task.SCORE, PAIRS, unsorted))
                .containsSubsequence(scored(0, -3.5, null), scored(1, 2, null));
    }

    @Test
    void a_sum_alone_counts_the_texts() {
        assertThat(said(
                        Backend.OPENAI_COMPATIBLE,
                        Task.RERANK,
                        "{\"query\":\"q\",\"documents\":[\"d\"]}",
                        "{\"results\":[{\"index\":0,\"relevance_score\":1}],\"usage\":{\"total_tokens\":5}}"))
                .contains(new TokenEvent.Spent(new Usage(5, 0)));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"results":[{"index":0,"relevance_score":1}]}                                    | sent 1 scores for 2 texts
            {"results":[]}                                                                  | sent 0 scores for 2 texts
            {"results":null}                                                                | sent 0 scores for 2 texts
            {"results":[{"index":2,"relevance_score":1}]}                                    | sent a score for text 2 of 2
            {"results":[{"index":-1,"relevance_score":1}]}                                   | sent a score for text -1 of 2
            {"results":[{"relevance_score":1}]}                                              | sent a score for text none of 2
            {"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]}     | sent two scores for text 0
            {"results":[{"index":0,"relevance_score":"1"}]}                                  | sent no score for text 0: "1"
            {"results":[{"index":0,"relevance_score":1e999}]}                                | sent no score for text 0
            {"results":[{"index":0}]}                                                        | sent no score for text 0: none
            {"error":{"message":"out of memory","code":500}}                                 | answered 200 with an error: out of memory
            [{"index":0,"score":1}]                                                          | sent what is no JSON object
            """)
    void what_is_no_ranking_is_no_answer(String document, String words) {
        assertThat(said(Backend.VLLM, Task.RERANK, RANKING.formatted(""), document))
                .singleElement()
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken -> assertThat(broken.failure().message()).contains(words));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            501 | {"error":{"code":501,"message":"This server does not support reranking. Start it with `--reranking`","type":"not_supported_error"}}
            404 | {"detail":"Not Found"}
            404 | {"detail":"no such page"}
            400 | {"object":"error","message":"The model does not support Rerank (Score) API","type":"BadRequestError","code":400}
            """)
    void a_server_without_a_model_for_it_is_left_to_others(int status, String body) {
        NodeSettings node = NodeSettings.at(Backend.LLAMA_SERVER, URI.create("http://gpu:8000"));
        Prompt prompt = Prompt.of(Task.RERANK, "m", map(RANKING.formatted("")), Map.of(), Map.of(), 0);

        JobFailure failure = new NodeErrors(node, protocol(Backend.LLAMA_SERVER)).refused(status, body, prompt);

        assertThat(failure.code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        assertThat(failure.message()).contains("model 'm' on node", "compares no texts: name another model");
    }

    private static TokenEvent scored(int index, double value, @Nullable String document) {
        return new TokenEvent.Scored(new Answer.Score(index, value, document));
    }

    private static List<TokenEvent> said(Backend backend, Task task, String asked, String body) {
        AnswerParser parser = protocol(backend).parser(Prompt.of(task, "m", map(asked), Map.of(), Map.of(), 0));
        List<TokenEvent> events = new ArrayList<>();
        Cutter cutter = parser.cutter(1 << 20, events::add);
        cutter.feed(body.getBytes(StandardCharsets.UTF_8));
        cutter.end();
        parser.end(events::add);
        return events;
    }
}
