package dev.penstock.route.balance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptSize;
import dev.penstock.settings.Placing;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** At which nodes a prompt fits. */
class FitTest {
    private static final Fit.At SMALL = at("small", true, 8_192L);
    private static final Fit.At LARGE = at("large", true, 32_768L);
    private static final Fit.At LARGE_DOWN = at("large", false, 32_768L);
    private static final Fit.At UNLISTED = at("unlisted", true, null);

    private static Fit.At at(String node, boolean isUp, @Nullable Long context) {
        return new Fit.At(node, isUp, context, 4);
    }

    /** A prompt of so many tokens by the usual ratio, with an answer of 1,000. */
    private static Demand demand(long tokens, Placing.Overflow overflow) {
        return new Demand(
                new Length(new PromptSize(4 * tokens, 0), 1_000, true),
                new LeastLoad(),
                overflow,
                Demand.Grouping.USUAL);
    }

    private static List<String> leftOut(long tokens, Fit.At... pool) {
        return leftOut(tokens, List.of(List.of(pool)));
    }

    private static List<String> leftOut(long tokens, List<List<Fit.At>> pools) {
        return List.copyOf(
                new Fit(demand(tokens, Placing.Overflow.NEXT), pools).leftOut().keySet());
    }

    @Test
    void prompt_and_answer_together_must_fit() {
        assertThat(leftOut(7_192, SMALL, LARGE)).isEmpty();
        assertThat(leftOut(7_193, SMALL, LARGE)).containsExactly("small");
        assertThat(leftOut(7_193, List.of(List.of(SMALL), List.of(LARGE))))
                .as("another target")
                .containsExactly("small");
        assertThat(leftOut(90_000, SMALL, LARGE, UNLISTED))
                .as("a node that lists no context may take it")
                .containsExactly("large", "small");
    }

    @Test
    void the_ratio_that_a_node_has_taught_counts() {
        Fit.At dense = new Fit.At("dense", true, 8_192L, 2);

        assertThat(leftOut(4_000, SMALL, dense)).as("8,000 tokens there").containsExactly("dense");
    }

    @Test
    void no_node_is_left_out_for_one_that_is_down() {
        assertThat(leftOut(9_000, SMALL, LARGE_DOWN)).isEmpty();
    }

    @Test
    void if_it_fits_nowhere_by_the_estimate_the_nodes_where_half_as_many_tokens_fit_remain() {
        Fit.At tiny = at("tiny", true, 2_048L);

        assertThat(leftOut(9_000, SMALL, tiny)).containsExactly("tiny");
        assertThat(leftOut(90_000, SMALL, tiny)).as("the node decides").isEmpty();
    }

    @Test
    void a_job_that_drops_turns_stays_in_its_pool() {
        Demand drops = demand(9_000, Placing.Overflow.DROP_OLDEST);

        assertThat(new Fit(drops, List.of(List.of(SMALL), List.of(LARGE))).leftOut())
                .isEmpty();
        assertThat(new Fit(drops, List.of(List.of(SMALL, LARGE))).leftOut()).containsOnlyKeys("small");
    }

    @Test
    void a_job_fails_before_it_runs_only_if_its_rule_says_so_and_half_as_many_tokens_do_not_fit_either() {
        Demand fails = demand(9_000, Placing.Overflow.FAIL);
        Demand muchTooLong = demand(16_000, Placing.Overflow.FAIL);

        assertThat(new Fit(fails, List.of(List.of(SMALL), List.of(LARGE))).failure())
                .isEmpty();
        assertThat(new Fit(demand(16_000, Placing.Overflow.NEXT), List.of(List.of(SMALL))).failure())
                .isEmpty();
        assertThat(new Fit(muchTooLong, List.of(List.of(SMALL, UNLISTED))).failure())
                .isEmpty();
        assertThat(new Fit(muchTooLong, List.of(List.of(SMALL), List.of(LARGE))).failure())
                .hasValueSatisfying(failure -> {
                    assertThat(failure.code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
                    assertThat(failure.message())
                            .isEqualTo(
                                    "the prompt has about 16,000 tokens and its answer up to 1,000. The limits are: small 8,192");
                });
    }

    @Test
    void the_reason_has_the_figures() {
        assertThat(new Fit(demand(9_000, Placing.Overflow.NEXT), List.of(List.of(SMALL, LARGE))).leftOut())
                .containsEntry(
                        "small",
                        "the prompt has about 9,000 tokens and its answer up to 1,000; the limit there is 8,192");
    }
}
