package dev.penstock.api.call;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.util.RawValue;
import dev.penstock.wire.Json;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class AnswerBudgetTest {
    private static final int KIB = 1 << 10;

    private final AnswerBudget budget = new AnswerBudget(100 * KIB, Duration.ZERO);

    @Test
    void a_call_that_finds_no_room_is_refused_until_another_gives_back_what_it_has() throws InterruptedException {
        AnswerBudget.Share first = budget.share();
        AnswerBudget.Share second = budget.share();
        first.mustTake(60 * KIB);

        assertThat(second.take(50 * KIB)).isFalse();
        assertThatThrownBy(() -> second.mustTake(50 * KIB))
                .isInstanceOfSatisfying(
                        ApiException.class,
                        e -> assertThat(e.failure().code().httpStatus()).isEqualTo(503));
        assertThat(budget.free()).isEqualTo(40 * KIB);

        first.giveBack();
        assertThat(second.take(50 * KIB)).isTrue();
        second.giveBack();
        second.giveBack();
        assertThat(budget.free()).isEqualTo(100 * KIB);
    }

    @Test
    void what_a_call_takes_is_the_most_that_it_needs_at_once() throws InterruptedException {
        AnswerBudget.Share share = budget.share();

        share.mustTake(10);
        share.mustTake(30 * KIB);
        share.mustTake(20 * KIB);

        assertThat(budget.free()).isEqualTo(70 * KIB);
    }

    @Test
    void one_that_needs_more_than_there_is_takes_all_there_is() throws InterruptedException {
        AnswerBudget.Share share = budget.share();

        assertThat(share.take(Long.MAX_VALUE / 2)).isTrue();

        assertThat(budget.free()).isZero();
        share.giveBack();
        assertThat(budget.free()).isEqualTo(100 * KIB);
    }

    @Test
    void what_a_call_takes_after_its_end_is_given_back_at_once() throws InterruptedException {
        AnswerBudget.Share share = budget.share();
        share.giveBack();

        assertThat(share.take(10 * KIB)).isTrue();

        assertThat(budget.free()).isEqualTo(100 * KIB);
    }

    @Test
    void a_call_waits_a_moment_for_room() throws Exception {
        AnswerBudget patient = new AnswerBudget(100 * KIB, Duration.ofMinutes(1));
        AnswerBudget.Share first = patient.share();
        first.mustTake(100 * KIB);
        CompletableFuture<Boolean> second = CompletableFuture.supplyAsync(() -> {
            try {
                return patient.share().take(KIB);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });

        first.giveBack();

        assertThat(second.get()).isTrue();
    }

    @Test
    void a_document_is_as_large_as_its_texts_and_its_nodes() {
        ObjectNode document = Json.mapper().createObjectNode();
        document.putArray("texts").add("x".repeat(1_000)).add(1);
        document.putRawValue("raw", new RawValue("[" + "1,".repeat(5_000) + "1]"));

        assertThat(AnswerBudget.size(document)).isBetween(22_000L, 24_000L);
    }
}
