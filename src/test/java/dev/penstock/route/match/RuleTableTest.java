package dev.penstock.route.match;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.route.Targets;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.YamlSettings;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Which rule a job gets. */
class RuleTableTest {
    private static final String HI = "'messages':[{'role':'user','content':'Hi'}]";
    private static final String HEAD = """
            penstock:
              profiles:
                large: {vllm: meta-llama/Llama-3.3-70B-Instruct}
                small: {vllm: meta-llama/Llama-3.2-3B-Instruct, ollama: "llama3.2:3b"}
              default-profile: small
              intake:
                topics:
                  - {name: prompt-jobs, tenant: from-record}
                  - {name: urgent, priority: high, tenant: from-record}
            """;

    /** Condition | job | topic and source | does it match? */
    private static final String TABLE = """
            task: chat                          | HI                                            | | yes
            task: completion                    | HI                                            | | no
            task: [completion, chat]            | HI                                            | | yes
            task: completion                    | 'prompt':'Hi'                                 | | yes
            task: embeddings                    | 'input':'Hi'                                  | | yes
            task: describe                      | 'images':['aGk=']                             | | yes
            task: tag                           | 'images':['aGk=']                             | | no
            task: tag                           | 'images':['aGk='],'job':{'task':'tag'}        | | yes
            model: "llama*"                     | 'model':'llama3.2:3b',HI                      | | yes
            model: "LLAMA*"                     | 'model':'llama3.2:3b',HI                      | | yes
            model: "*70B*"                      | 'model':'meta-llama/Llama-3.3-70B',HI         | | yes
            model: "*70B*"                      | 'model':'llama3.2:3b',HI                      | | no
            model: "qwen?"                      | 'model':'qwen3',HI                            | | yes
            model: "qwen?"                      | 'model':'qwen30',HI                           | | no
            model: qwen3                        | 'model':'qwen3:latest',HI                     | | yes
            model: qwen3                        | 'model':'qwen3:8b',HI                         | | no
            model: ["a*", "q*3"]                | 'model':'qwen3',HI                            | | yes
            model: "*"                          | HI                                            | | yes
            model: "*70B*"                      | 'model':'large',HI                            | | yes
            model: "*70B*"                      | 'model':'small',HI                            | | no
            model: "llama3.2*"                  | 'model':'small',HI                            | | yes
            model: "small"                      | 'model':'small',HI                            | | no
            profile: large                      | 'model':'large',HI                            | | yes
            profile: large                      | 'model':'small',HI                            | | no
            profile: small                      | HI                                            | | yes
            profile: [large, small]             | 'model':'large',HI                            | | yes
            profile: small                      | 'model':'llama3.2:3b',HI                      | | no
            priority: high                      | HI,'job':{'priority':'high'}                  | | yes
            priority: high                      | HI                                            | | no
            priority: [low, normal]             | HI                                            | | yes
            tenant: acme                        | HI,'job':{'tenant':'acme'}                    | | yes
            tenant: acme                        | HI                                            | | no
            tenant: default                     | HI                                            | | yes
            topic: urgent                       | HI                                            | urgent kafka | yes
            topic: urgent                       | HI                                            | | no
            topic: [urgent, prompt-jobs]        | HI                                            | | yes
            source: rest                        | HI                                            | prompt-jobs rest | yes
            source: rest                        | HI                                            | | no
            source: [kafka, rest]               | HI                                            | | yes
            min-prompt-tokens: 2                | 'prompt':'12345678'                           | | yes
            min-prompt-tokens: 3                | 'prompt':'12345678'                           | | no
            max-prompt-tokens: 2                | 'prompt':'12345678'                           | | yes
            max-prompt-tokens: 1                | 'prompt':'12345678'                           | | no
            max-prompt-tokens: 2                | 'prompt':'123456789'                          | | no
            {min-prompt-tokens: 3, max-prompt-tokens: 3} | 'input':[1,2,3]                      | | yes
            has: tools                          | HI,'tools':[{'type':'function'}]              | | yes
            has: tools                          | HI,'tools':[]                                 | | no
            has: json                           | HI,'response_format':{'type':'json_object'}   | | yes
            has: json                           | HI,'response_format':{'type':'text'}          | | no
            has: images                         | 'images':['aGk=']                             | | yes
            has: images                         | HI                                            | | no
            has: reasoning                      | HI,'reasoning_effort':'high'                  | | yes
            has: reasoning                      | HI,'reasoning_effort':'none'                  | | no
            has: code                           | 'prompt':'Fix: ```x```'                       | | yes
            has: code                           | HI                                            | | no
            has: [code, tools]                  | HI,'tools':[{'type':'function'}]              | | yes
            language: de                        | 'prompt':'Was ist das und warum?'             | | yes
            language: [fr, en]                  | 'prompt':'Was ist das und warum?'             | | no
            language: en                        | 'prompt':'xyz'                                | | no
            metadata: {tier: gold}              | HI,'metadata':{'tier':'gold','a':'b'}         | | yes
            metadata: {tier: gold}              | HI,'metadata':{'tier':'silver'}               | | no
            metadata: {tier: gold}              | HI                                            | | no
            metadata: {tier: [gold, silver]}    | HI,'metadata':{'tier':'silver'}               | | yes
            metadata: {tier: gold, a: b}        | HI,'metadata':{'tier':'gold'}                 | | no
            metadata: {tier: gold, a: b}        | HI,'metadata':{'tier':'gold','a':'b'}         | | yes
            {task: chat, profile: large}        | 'model':'large',HI                            | | yes
            {task: chat, profile: large}        | 'model':'small',HI                            | | no
            {task: chat, profile: large}        | 'model':'large','prompt':'Hi'                 | | no
            {priority: high, has: json}         | HI,'job':{'priority':'high'}                  | | no
            {}                                  | 'input':'Hi'                                  | | yes
            """;

    static Stream<List<String>> rows() {
        return TABLE.lines()
                .map(row -> Stream.of(row.split("\\|", -1)).map(String::strip).toList());
    }

    @ParameterizedTest
    @MethodSource("rows")
    void a_rule_matches_if_all_its_conditions_hold(List<String> row) {
        String when = row.get(0).startsWith("{") ? row.get(0) : "{" + row.get(0) + "}";
        Rules rules = rules("- {name: it, when: %s, to: gpu}".formatted(when));
        PromptJob job = TestJobs.of("{" + row.get(1).replace("HI", HI) + "}");
        String[] arrival = (row.get(2).isEmpty() ? "prompt-jobs kafka" : row.get(2)).split(" ", -1);

        Decision decision =
                rules.decide(job, arrival[0], Conditions.Source.valueOf(arrival[1].toUpperCase(Locale.ROOT)));

        assertThat(decision.rule().name()).isEqualTo(row.get(3).equals("yes") ? "it" : "none");
        assertThat(decision.targets())
                .isEqualTo(row.get(3).equals("yes") ? new Targets("it", List.of("gpu")) : Targets.NONE);
    }

    private static Rules rules(String routes) {
        return new Rules(settings(routes));
    }

    private static Settings settings(String routes) {
        return YamlSettings.of(HEAD + "  routes:\n" + routes.indent(4));
    }

    private static Decision decide(Rules rules, PromptJob job) {
        return rules.decide(job, "prompt-jobs", Conditions.Source.KAFKA);
    }

    @Test
    void the_first_rule_that_matches_wins() {
        Rules rules = rules("""
                - {name: large, when: {profile: large}, to: gpu}
                - {name: chat, when: {task: chat}, to: cpu}
                - {name: rest, to: [gpu, cpu]}
                """);

        assertThat(decide(rules, TestJobs.of("{'model':'large'," + HI + "}"))
                        .rule()
                        .name())
                .isEqualTo("large");
        assertThat(decide(rules, TestJobs.of("{" + HI + "}")).rule().name()).isEqualTo("chat");
        assertThat(decide(rules, TestJobs.of("{'prompt':'Hi'}")).targets())
                .isEqualTo(new Targets("rest", List.of("gpu", "cpu")));
    }

    @Test
    void a_rule_sets_the_model_and_the_priority_and_needs_no_targets() {
        Rules rules = rules("- {name: cheap, when: {metadata: {tier: free}}, set: {model: small, priority: low}}");
        PromptJob free = TestJobs.of("{'model':'large','metadata':{'tier':'free'}," + HI + "}");
        PromptJob other = TestJobs.of("{'model':'large'," + HI + "}");

        assertThat(decide(rules, free).model(free.model())).isEqualTo("small");
        assertThat(decide(rules, free).priority(free)).isEqualTo(Priority.LOW);
        assertThat(decide(rules, free).targets()).isEqualTo(Targets.NONE);
        assertThat(decide(rules, other)).isEqualTo(Decision.NONE);
        assertThat(decide(rules, other).model("large")).isEqualTo("large");
        assertThat(decide(rules, other).priority(other)).isEqualTo(Priority.NORMAL);
    }

    @Test
    void a_split_follows_its_weights_and_is_the_same_for_the_same_id() {
        Settings settings = settings("- {name: canary, to: [{split: {gpu: 90, canary: 10}}, cloud]}");
        Map<List<String>, Integer> counts = new HashMap<>();
        for (int i = 0; i < 10_000; i++) {
            Rules.Known job = known("order-" + i);
            Targets targets = new Rules(settings).decide(job).orElseThrow().targets();
            counts.merge(targets.names(), 1, Integer::sum);
            assertThat(new Rules(settings).decide(job).orElseThrow().targets()).isEqualTo(targets);
        }

        assertThat(counts.keySet()).containsExactlyInAnyOrder(List.of("gpu", "cloud"), List.of("canary", "cloud"));
        assertThat(counts.get(List.of("canary", "cloud"))).isBetween(900, 1_100);
    }

    /** Values that any other version must give too: a job that is delivered again after an update goes the same way. */
    @Test
    void the_way_of_an_id_never_changes() {
        Rules rules = rules("- {to: {split: {a: 1, b: 1, c: 1, d: 1}}}");

        assertThat(IntStream.range(0, 12)
                        .mapToObj(i -> rules.decide(known("job-" + i))
                                .orElseThrow()
                                .targets()
                                .names()
                                .getFirst())
                        .collect(Collectors.joining()))
                .isEqualTo("ccdadbdcdadb");
    }

    private static Rules.Known known(String id) {
        return new Rules.Known(new JobId(id), Task.CHAT, null, Priority.NORMAL, "default", "prompt-jobs", Map.of());
    }

    @Test
    void without_the_prompt_a_decision_is_known_only_if_no_rule_before_it_asks_for_the_prompt() {
        Rules rules = rules("""
                - {name: high, when: {priority: high}, to: gpu}
                - {name: code, when: {task: chat, has: code}, to: gpu}
                - {name: rest, to: cpu}
                """);
        Rules.Known chat = known("a");
        Rules.Known completion = new Rules.Known(
                new JobId("b"), Task.COMPLETION, null, Priority.NORMAL, "default", "prompt-jobs", Map.of());

        assertThat(rules.decide(chat)).isEmpty();
        assertThat(rules.decide(completion).orElseThrow().rule().name()).isEqualTo("rest");
        assertThat(rules("- {when: {source: rest}, to: cpu}").decide(chat)).isEmpty();
    }
}
