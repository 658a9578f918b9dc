package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.Priority;
import dev.penstock.job.Task;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.ModelGlob;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.settings.Target;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class RoutesReaderTest {
    private static final String NODES = """
            penstock:
              nodes:
                gpu-a: {backend: vllm, url: "http://gpu"}
                cpu-a: {backend: ollama, url: "http://cpu"}
              profiles:
                large: {vllm: llama-70b}
                small: {vllm: llama-70b, ollama: "llama3.2:3b"}
            """;
    private static final String FIXED = "  config: {runtime-changes: false}\n";

    private static Settings settings(String routes) {
        return YamlSettings.of(NODES + "  routes:\n" + routes.indent(4));
    }

    private static List<Rule> rules(String routes) {
        return settings(routes).routing().rules();
    }

    /** Returns the mistakes without the first line, which counts them. */
    private static List<String> mistakes(String routes, String more) {
        Map<String, String> keys = YamlSettings.keys(NODES + more + "  routes:\n" + routes.indent(4));
        return SettingsReader.mistakes(TestSettings.config(keys), Map.of(), keys);
    }

    @Test
    void a_rule_with_every_key() {
        List<Rule> rules = rules("""
                - name: long
                  when:
                    task: [chat, completion]
                    model: ["llama*", "qwen?"]
                    profile: large
                    priority: [high, normal]
                    tenant: default
                    topic: prompt-jobs
                    source: rest
                    min-prompt-tokens: 100
                    max-prompt-tokens: 4000
                    has: [code, images]
                    language: de
                    metadata: {tier: [gold, "a,b"], "order.kind": "x,y"}
                  to: [{split: {gpu: 90, cpu-a: 10}}, cpu]
                  set: {model: small, priority: low, parameters: {temperature: 0.2, stop: [A, B], top_k: "40", tag: text}}
                  timeouts: {first-token: 90s, idle: 5s}
                  retries: {max-attempts: 5, backoff: 1s, max-backoff: 1m}
                  continue: any
                  hedge: {after: 2s}
                  preempt: true
                - to: gpu-a
                """);

        Rule rule = rules.getFirst();
        assertThat(rule.name()).isEqualTo("long");
        assertThat(rule.when())
                .isEqualTo(new Conditions(
                        Set.of(Task.CHAT, Task.COMPLETION),
                        List.of(new ModelGlob("llama*"), new ModelGlob("qwen?")),
                        Set.of("large"),
                        Set.of(Priority.HIGH, Priority.NORMAL),
                        Set.of("default"),
                        Set.of("prompt-jobs"),
                        Set.of(Conditions.Source.REST),
                        100,
                        4000,
                        Set.of(Conditions.Trait.CODE, Conditions.Trait.IMAGES),
                        Set.of("de"),
                        Map.of("tier", Set.of("gold", "a,b"), "order.kind", Set.of("x,y"))));
        assertThat(rule.to())
                .containsExactly(new Target.Split(Map.of("gpu", 90, "cpu-a", 10)), new Target.Named("cpu"));
        assertThat(rule.set().model()).isEqualTo("small");
        assertThat(rule.set().priority()).isEqualTo(Priority.LOW);
        assertThat(new String(Json.bytes(new TreeMap<>(rule.set().parameters())), StandardCharsets.UTF_8))
                .isEqualTo("{\"stop\":[\"A\",\"B\"],\"tag\":\"text\",\"temperature\":0.2,\"top_k\":40}");
        assertThat(rule.timeouts().firstToken()).contains(Duration.ofSeconds(90));
        assertThat(rule.timeouts().idle()).contains(Duration.ofSeconds(5));
        assertThat(rule.retries().maxAttempts()).isEqualTo(OptionalInt.of(5));
        assertThat(rule.retries().maxBackoff()).contains(Duration.ofMinutes(1));
        assertThat(rule.handling())
                .isEqualTo(new Rule.Handling(
                        Optional.of(Settings.Continuing.ANY),
                        Optional.of(new Rule.Hedge(Optional.of(Duration.ofSeconds(2)))),
                        true));
        assertThat(rules.get(1).handling()).isEqualTo(Rule.Handling.NONE);
        assertThat(rules.get(1).name()).as("a rule without a name").isEqualTo("routes[1]");
        assertThat(rules.get(1).to()).containsExactly(new Target.Named("gpu-a"));
    }

    @Test
    void a_configuration_without_rules_has_none() {
        assertThat(TestSettings.defaults().routing().rules()).isEmpty();
        assertThat(YamlSettings.of("penstock: {routes: []}").routing().rules()).isEmpty();
        assertThat(YamlSettings.of("penstock: {cloud-fallback: true}").routing().cloudFallback())
                .isTrue();
    }

    @Test
    void every_typo_is_reported_by_its_key_with_the_nearest_name() {
        assertThat(mistakes("""
                        - nam: a
                          when: {priorty: high, priority: hihg, task: chatt, has: imags, language: dee, source: kafak}
                          to: gpu
                        - when: {min-prompt-tokens: many, metadata: gold}
                          to: [{splitt: {gpu: 1}}, {split: {gpu: 0}}]
                          set: {modell: x, priority: urgent, parameters: {messages: []}}
                          timeouts: {first-tokn: 1s, idle: soon}
                          retries: {max-attempts: 0}
                          continue: allways
                          hedge: {after: p99, befor: 1s}
                          preempt: ja
                        - hedge: {aftr: 1s}
                        - just text
                        """, ""))
                .containsExactlyInAnyOrder(
                        "penstock.routes[0].nam: there is no such key. Did you mean name?",
                        "penstock.routes[0].when.priorty: there is no such key. Did you mean priority?",
                        "penstock.routes[0].when.priority: 'hihg' is none of high, normal, low. Did you mean high?",
                        "penstock.routes[0].when.task: 'chatt' is none of chat, completion, embeddings, describe, tag, rerank, score. Did you mean chat?",
                        "penstock.routes[0].when.has: 'imags' is none of code, images, tools, json, reasoning. Did you mean images?",
                        "penstock.routes[0].when.language: 'dee' is none of ar, de, el, en, es, fr, he, hi, it, ja, ko, nl, pt, ru, th, uk, zh. Did you mean de?",
                        "penstock.routes[0].when.source: 'kafak' is none of kafka, rest, openai. Did you mean kafka?",
                        "penstock.routes[1].when.min-prompt-tokens: 'many': expected an integer from 0 on",
                        "penstock.routes[1].when.metadata: expected keys, and not one value",
                        "penstock.routes[1].to[0].splitt: there is no such key. Did you mean split?",
                        "penstock.routes[1].to[0].split: expected pools or nodes with their weights, such as {gpu: 90, canary: 10}",
                        "penstock.routes[1].to[1].split.gpu: '0': expected an integer from 1 on",
                        "penstock.routes[1].set.modell: there is no such key. Did you mean model?",
                        "penstock.routes[1].set.priority: 'urgent' is none of high, normal, low. Did you mean high?",
                        "penstock.routes[1].set.parameters.messages: is no parameter: only the job sets it",
                        "penstock.routes[1].timeouts.first-tokn: there is no such key. Did you mean first-token?",
                        "penstock.routes[1].timeouts.idle: 'soon': expected a positive duration, such as 30s or 5m",
                        "penstock.routes[1].retries.max-attempts: '0': expected an integer from 1 on",
                        "penstock.routes[1].continue: 'allways' is none of same-model, any, never. Did you mean any?",
                        "penstock.routes[1].hedge.after: 'p99': expected a positive duration, such as 30s or 5m",
                        "penstock.routes[1].hedge.befor: there is no such key. Did you mean after?",
                        "penstock.routes[1].preempt: 'ja' is none of true, false. Did you mean true?",
                        "penstock.routes[2].hedge.aftr: there is no such key. Did you mean after?",
                        "penstock.routes[2].hedge.after: expected p95 or a duration, such as 2s",
                        "penstock.routes[3]: expected the keys of a rule, such as when and to");
    }

    @Test
    void a_rule_places_its_jobs() {
        assertThat(rules(
                                "- {balance: prefix-affinity, bound: 1.5, on-overflow: drop-oldest, group: prefix, group-max-wait: 3s}")
                        .getFirst()
                        .placing())
                .isEqualTo(new Placing(
                        Optional.of(Placing.Balance.PREFIX_AFFINITY),
                        1.5,
                        Placing.Overflow.DROP_OLDEST,
                        Placing.Group.PREFIX,
                        Duration.ofSeconds(3)));
        assertThat(rules("- {to: gpu}").getFirst().placing()).isEqualTo(Placing.USUAL);
        assertThat(rules("- {balance: least-loaded}").getFirst().placing().balance())
                .as("another spelling")
                .contains(Placing.Balance.LEAST_LOAD);
    }

    @Test
    void a_wrong_placing_is_a_mistake_and_so_is_a_key_without_effect() {
        assertThat(mistakes("""
                        - {to: gpu, balance: sesion, on-overflow: drop-oldes, group: models}
                        - {name: b, bound: 2, group: none, group-max-wait: 1s}
                        - {name: c, balance: prefix-affinity, bound: 0.9}
                        """, ""))
                .containsExactlyInAnyOrder(
                        "penstock.routes[0].balance: 'sesion' is none of least-load, prefix-affinity, session, weighted. Did you mean session?",
                        "penstock.routes[0].on-overflow: 'drop-oldes' is none of next, fail, drop-oldest. Did you mean drop-oldest?",
                        "penstock.routes[0].group: 'models' is none of model, prefix, none. Did you mean model?",
                        "penstock.routes[1].bound: belongs to balance: prefix-affinity",
                        "penstock.routes[1].group-max-wait: has no effect with group: none",
                        "penstock.routes[2].bound: '0.9': expected a number from 1.0 on");
    }

    @Test
    void a_duration_has_an_upper_bound() {
        assertThat(mistakes(
                        "- {to: gpu, group-max-wait: 200000d, hedge: {after: 366d}, timeouts: {idle: 200000d}}", ""))
                .containsExactlyInAnyOrder(
                        "penstock.routes[0].group-max-wait: '200000d': must be at most 365 days",
                        "penstock.routes[0].hedge.after: '366d': must be at most 365 days",
                        "penstock.routes[0].timeouts.idle: '200000d': must be at most 365 days");
    }

    @Test
    void a_hedge_after_p95_has_no_duration() {
        assertThat(rules("- {to: gpu, hedge: {after: p95}}")
                        .getFirst()
                        .handling()
                        .hedge())
                .contains(new Rule.Hedge(Optional.empty()));
    }

    @Test
    void the_timeout_for_connecting_belongs_to_a_node() {
        assertThat(mistakes("- {to: gpu, timeouts: {connect: 1s}}", ""))
                .containsExactly(
                        "penstock.routes[0].timeouts.connect: belongs to a node, because jobs share its connections: set it at the node");
    }

    @Test
    void a_rule_that_can_never_match_is_a_mistake_by_its_name() {
        assertThat(mistakes("""
                        - {name: a, when: {min-prompt-tokens: 9, max-prompt-tokens: 8}, to: gpu}
                        - {name: b, when: {profile: larg}, to: gpu}
                        - {name: c, when: {profile: small, model: "qwen*"}, to: gpu}
                        - {name: d, when: {task: embeddings, has: [tools, images]}, to: gpu}
                        - {name: e, when: {topic: prompt-job}, to: gpu}
                        - {name: f, when: {tenant: acme}, to: gpu}
                        - {name: f, to: gpu}
                        """, ""))
                .containsExactly(
                        "penstock.routes[0].when.min-prompt-tokens: rule 'a' can never match: it is above max-prompt-tokens, which is 8",
                        "penstock.routes[1].when.profile: rule 'b': there is no profile 'larg'. Did you mean large?",
                        "penstock.routes[2].when.model: rule 'c' can never match: no model of its profiles matches the pattern",
                        "penstock.routes[3].when.has: rule 'd' can never match: its tasks have none of these",
                        "penstock.routes[4].when.topic: rule 'e': 'prompt-job' is no job topic. Did you mean prompt-jobs?",
                        "penstock.routes[5].when.tenant: rule 'f' can never match: no topic has jobs of such a tenant",
                        "penstock.routes[6].name: an earlier rule has the name 'f'");
    }

    @Test
    void an_unknown_target_is_a_mistake_if_no_node_can_be_added_and_else_a_warning() {
        String routes = "- {name: big, to: [gpuu, cpu-a, {split: {gpu: 1, canary: 1}}]}";

        assertThat(mistakes(routes, FIXED))
                .containsExactly(
                        "penstock.routes[0].to[0]: rule 'big': 'gpuu' is no pool and no node of this configuration. Did you mean gpu?",
                        "penstock.routes[0].to[2]: rule 'big': 'canary' is no pool and no node of this configuration. There are cpu, cpu-a, gpu, gpu-a");
        assertThat(RuleChecks.warnings(settings(routes)))
                .hasSize(2)
                .first()
                .asString()
                .startsWith("penstock.routes[0].to[0]: rule 'big': 'gpuu' is no pool and no node")
                .contains("no_node");
    }

    @Test
    void a_rule_that_an_earlier_one_hides_is_a_warning() {
        assertThat(RuleChecks.warnings(settings("""
                        - {name: llama, when: {model: "llama*"}, to: gpu}
                        - {name: gold, when: {metadata: {tier: [gold, silver]}, priority: [high, low]}, to: gpu}
                        - {name: llama3, when: {model: ["llama3*", "llama-70b"], task: chat}, to: cpu}
                        - {name: golden, when: {metadata: {tier: gold}, priority: low}, to: cpu}
                        - {name: gold-too, when: {metadata: {tier: gold}}, to: cpu}
                        - {name: all, to: gpu}
                        - {name: late, when: {has: code}, to: cpu}
                        """)))
                .containsExactly(
                        "penstock.routes[2]: rule 'llama3' never applies, because rule 'llama' before it matches all its jobs",
                        "penstock.routes[3]: rule 'golden' never applies, because rule 'gold' before it matches all its jobs",
                        "penstock.routes[6]: rule 'late' never applies, because rule 'all' before it matches all its jobs");
    }

    @Test
    void a_name_that_is_a_pool_and_a_node_is_a_warning() {
        Settings settings = YamlSettings.of("""
                penstock:
                  nodes: {gpu: {backend: vllm, url: "http://gpu"}}
                  routes: [{name: big, to: gpu}]
                """);

        assertThat(RuleChecks.warnings(settings))
                .containsExactly("penstock.routes[0].to: 'gpu' is a pool and a node: rule 'big' sends to both");
    }

    @Test
    void a_circle_of_profiles_is_a_mistake_with_its_path() {
        Map<String, String> keys = YamlSettings.keys("""
                penstock:
                  profiles:
                    a: {vllm: b}
                    b: {ollama: c}
                    c: {vllm: a}
                    self: {ollama: self}
                """);

        assertThat(SettingsReader.mistakes(TestSettings.config(keys), Map.of(), keys))
                .containsExactly(
                        "penstock.profiles.a.vllm: the names lead in a circle: a → b → c → a. A name is looked up only once");
    }

    @Test
    void a_circle_of_rules_that_set_models_is_a_mistake_with_its_path() {
        assertThat(mistakes("""
                        - {name: up, when: {profile: small}, set: {model: large}}
                        - {name: down, when: {profile: large}, set: {model: small}}
                        """, ""))
                .containsExactly(
                        "penstock.routes[1].set.model: the names lead in a circle: large → small → large. A name is looked up only once");
    }

    @Test
    void a_key_that_is_nearly_routes_is_named() {
        Map<String, String> keys = YamlSettings.keys("penstock: {rules: [{to: gpu}]}");

        assertThatThrownBy(() -> TestSettings.ofFile(keys))
                .hasMessageContaining("penstock.rules[0].to: there is no such key. Did you mean penstock.routes?");
    }
}
