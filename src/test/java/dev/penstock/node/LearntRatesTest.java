package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.penstock.node.signals.OtherWork;
import org.junit.jupiter.api.Test;

class LearntRatesTest {
    private final LearntRates rates = new LearntRates();
    private long now;

    @Test
    void nothing_is_known_before_the_first_answer() {
        assertThat(rates.prefillTokensPerSecond()).isNaN();
        assertThat(rates.decodeTokensPerSecond()).isNaN();
        assertThat(rates.load(OtherWork.NONE).seconds()).as("nothing waits").isZero();
        assertThat(rates.tokens(400)).isEqualTo(100);

        rates.begun(100, 0);
        assertThat(rates.load(OtherWork.NONE).seconds()).as("something waits").isNaN();
    }

    @Test
    void one_prompt_teaches_the_rate() {
        rates.begun(2_000, 100);
        rates.spoke(2_000, 600);

        assertThat(rates.prefillTokensPerSecond()).isEqualTo(4_000);
        assertThat(rates.load(OtherWork.NONE).waitingTokens()).isZero();
    }

    /** The server reads one prompt after the other; all of them were sent at once. */
    @Test
    void prompts_that_wait_for_each_other_do_not_make_the_node_slower() {
        for (int i = 0; i < 4; i++) {
            rates.begun(1_000, 0);
        }
        assertThat(rates.load(OtherWork.NONE).waitingTokens()).isEqualTo(4_000);
        for (int i = 1; i <= 4; i++) {
            rates.spoke(1_000, 250L * i);
        }
        assertThat(rates.prefillTokensPerSecond()).isCloseTo(4_000, within(1.0));
    }

    @Test
    void idle_time_does_not_count() {
        rates.begun(1_000, 0);
        rates.spoke(1_000, 500);
        rates.begun(1_000, 60_000);
        rates.spoke(1_000, 60_500);

        assertThat(rates.prefillTokensPerSecond()).isCloseTo(2_000, within(1.0));
    }

    @Test
    void a_node_that_becomes_slower_is_known_to_be_slower_after_some_prompts() {
        for (int i = 0; i < 50; i++) {
            prompt(1_000, 100);
        }
        assertThat(rates.prefillTokensPerSecond()).isCloseTo(10_000, within(1.0));
        for (int i = 0; i < 60; i++) {
            prompt(1_000, 1_000);
        }
        assertThat(rates.prefillTokensPerSecond()).isBetween(1_000.0, 1_100.0);
    }

    @Test
    void a_request_without_an_answer_is_no_work_any_more() {
        rates.begun(1_000, 0);
        rates.begun(500, 0);
        rates.gone(1_000, 2_000);

        assertThat(rates.load(OtherWork.NONE).waitingTokens()).isEqualTo(500);
        assertThat(rates.prefillTokensPerSecond()).isNaN();
        rates.gone(500, 3_000);
        assertThat(rates.load(OtherWork.NONE).seconds()).isZero();
    }

    @Test
    void the_usage_teaches_how_long_a_token_is() {
        rates.counted(3_000, 1_000);
        assertThat(rates.charsPerToken()).isEqualTo(3);
        assertThat(rates.tokens(900)).isEqualTo(300);

        rates.counted(40, 40);
        assertThat(rates.charsPerToken()).as("mostly the chat template").isEqualTo(3);
        rates.counted(40_000, 0);
        assertThat(rates.charsPerToken()).as("the server does not count").isEqualTo(3);
    }

    @Test
    void the_tokens_after_the_first_teach_the_rate_of_an_answer() {
        rates.answered(101, 2);
        assertThat(rates.decodeTokensPerSecond()).isEqualTo(50);
        rates.answered(1, 0);
        assertThat(rates.decodeTokensPerSecond())
                .as("one token teaches nothing")
                .isEqualTo(50);
    }

    @Test
    void the_load_in_seconds_is_the_time_for_the_waiting_prompts() {
        assertThat(new NodeLoad(3_000, 1_000, 4).seconds()).isEqualTo(3);
        assertThat(NodeLoad.UNKNOWN.seconds()).as("an idle node").isZero();
    }

    private void prompt(double tokens, long millis) {
        rates.begun(tokens, now);
        now += millis;
        rates.spoke(tokens, now);
    }
}
