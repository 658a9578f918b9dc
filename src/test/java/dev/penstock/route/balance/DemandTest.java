package dev.penstock.route.balance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.route.StableHash;
import dev.penstock.route.match.TestJobs;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import dev.penstock.settings.read.YamlSettings;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What a job asks of its node. */
class DemandTest {
    private static Rule rule(String keys) {
        return YamlSettings.of("penstock: {routes: [{name: it, %s}]}".formatted(keys))
                .routing()
                .rules()
                .getFirst();
    }

    private static Order order(String job, String rule) {
        return Demand.of(TestJobs.of(job), rule(rule), Map.of()).order();
    }

    private static long prefix(String job) {
        return order(job, "balance: prefix-affinity") instanceof PrefixAffinity affinity ? affinity.key() : 0;
    }

    @Test
    void a_rule_says_how_its_jobs_are_balanced() {
        String job = "{'prompt':'Hi'}";

        assertThat(order(job, "to: cpu")).isEqualTo(new LeastLoad());
        assertThat(order(job, "balance: least-loaded")).isEqualTo(new LeastLoad());
        assertThat(order(job, "balance: weighted")).isEqualTo(new Weighted());
        assertThat(order(job, "balance: prefix-affinity, bound: 2"))
                .isInstanceOfSatisfying(
                        PrefixAffinity.class,
                        affinity -> assertThat(affinity.bound()).isEqualTo(2));
        assertThat(order(job, "balance: session")).as("a job without a session").isEqualTo(new LeastLoad());
    }

    @Test
    void a_session_decides_unless_the_rule_says_otherwise() {
        String job = "{'prompt':'Hi','job':{'session':'alice'}}";
        Order session = new SessionAffinity(StableHash.of("alice"));

        assertThat(Demand.of(TestJobs.of(job), Rule.NONE, Map.of()).order()).isEqualTo(session);
        assertThat(order(job, "to: cpu")).isEqualTo(session);
        assertThat(order(job, "balance: session")).isEqualTo(session);
        assertThat(order(job, "balance: least-load")).isEqualTo(new LeastLoad());
        assertThat(order(job, "balance: weighted")).isEqualTo(new Weighted());
    }

    @Test
    void the_prefix_has_the_model_the_system_the_tools_and_the_first_256_tokens() {
        String chat = "{'model':'%s','tools':[{'type':'function','function':{'name':'%s'}}],"
                + "'messages':[{'role':'system','content':'%s'},{'role':'user','content':'%s'}]}";
        String same = "x".repeat(PrefixKey.CHARS);
        String system = "s".repeat(3 * PrefixKey.CHARS);
        long key = prefix(chat.formatted("a", "f", system, same + "one"));

        assertThat(prefix(chat.formatted("a", "f", system, same + "another"))).isEqualTo(key);
        assertThat(prefix(chat.formatted("b", "f", system, same))).as("model").isNotEqualTo(key);
        assertThat(prefix(chat.formatted("a", "g", system, same))).as("tools").isNotEqualTo(key);
        assertThat(prefix(chat.formatted("a", "f", system + "!", same)))
                .as("the end of a long system message")
                .isNotEqualTo(key);
        assertThat(prefix(chat.formatted("a", "f", system, "y" + same)))
                .as("prompt")
                .isNotEqualTo(key);
    }

    @Test
    void the_order_of_fields_and_media_change_no_prefix() {
        assertThat(prefix("{'messages':[{'content':'Hi','role':'user'}]}"))
                .isEqualTo(prefix("{'messages':[{'role':'user','content':'Hi'}]}"));
        String image =
                "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'},{'type':'image_url','image_url':{'url':'data:image/png;base64,%s'}}]}]}";
        assertThat(prefix(image.formatted("aGk="))).isEqualTo(prefix(image.formatted("aGkh")));
        assertThat(prefix("{'prompt':'ab','system':'c'}")).isNotEqualTo(prefix("{'prompt':'b','system':'ca'}"));
        assertThat(prefix("{'input':[1,2,3]}")).isNotEqualTo(prefix("{'input':[1,2,4]}"));
    }

    @Test
    void a_rule_that_groups_by_prefix_has_the_same_key() {
        PromptJob job = TestJobs.of("{'prompt':'Hi'}");

        assertThat(Demand.of(job, rule("group: prefix, group-max-wait: 3s"), Map.of())
                        .grouping())
                .isEqualTo(new Demand.Grouping(Placing.Group.PREFIX, prefix("{'prompt':'Hi'}"), 3_000_000_000L));
        assertThat(Demand.of(job, rule("group: none"), Map.of()).grouping().prefix())
                .isNull();
    }

    @Test
    void the_length_has_the_limit_of_the_answer_from_the_job_else_its_rule_else_the_service() {
        Rule rule = rule("set: {parameters: {max_tokens: 200}}");
        PromptJob job = TestJobs.of("{'prompt':'12345678'}");

        assertThat(Length.of(TestJobs.of("{'prompt':'12345678','max_tokens':100}"), rule, Map.of())
                        .answer())
                .isEqualTo(100);
        assertThat(Length.of(job, rule, Map.of("max_tokens", 300)).answer()).isEqualTo(200);
        assertThat(Length.of(job, Rule.NONE, Map.of("max_tokens", 300)).answer())
                .isEqualTo(300);
        assertThat(Length.of(job, Rule.NONE, Map.of())).isEqualTo(new Length(new PromptSize(8, 0), 0, true));
        assertThat(Length.of(TestJobs.of("{'input':['a','b']}"), Rule.NONE, Map.of())
                        .isOneText())
                .as("each input has a context of its own")
                .isFalse();
    }

    @Test
    void an_answer_of_any_length_is_counted() {
        for (String most : List.of("9223372036854775807", "9223372036854775808", "18446744073709551617")) {
            Demand demand = Demand.of(
                    TestJobs.of("{'prompt':'Hi','max_tokens':%s}".formatted(most)), rule("to: cpu"), Map.of());

            assertThat(demand.surelyFits(8_192)).as(most).isFalse();
            assertThat(demand.length().fits(8_192L, 4)).as(most).isFalse();
        }
    }
}
