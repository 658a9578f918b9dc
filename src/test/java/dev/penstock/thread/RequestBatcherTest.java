package dev.penstock.thread;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;

class RequestBatcherTest {
    private static final Duration LONG = Duration.ofSeconds(20);

    /** What the executor has to run. */
    private final Deque<Runnable> tasks = new ArrayDeque<>();

    private final List<List<Integer>> batches = new ArrayList<>();

    private List<String> answer(List<Integer> requests) {
        batches.add(requests);
        return requests.stream().map(request -> "answer " + request).toList();
    }

    private RequestBatcher<Integer, String> batcher(int atOnce, int mostPerBatch) {
        return new RequestBatcher<>(tasks::add, atOnce, mostPerBatch, this::answer);
    }

    @Test
    void one_batch_serves_all_that_wait_and_each_gets_its_own_answer() {
        RequestBatcher<Integer, String> batcher = batcher(1, 100);
        CompletableFuture<String> one = batcher.ask(1);
        CompletableFuture<String> two = batcher.ask(2);
        CompletableFuture<String> same = batcher.ask(1);

        assertThat(tasks).hasSize(1);
        tasks.remove().run();

        assertThat(batches).containsExactly(List.of(1, 2, 1));
        assertThat(List.of(one.join(), two.join(), same.join())).containsExactly("answer 1", "answer 2", "answer 1");
    }

    @Test
    void a_request_during_a_batch_is_in_the_next_one() {
        List<CompletableFuture<String>> during = new ArrayList<>();
        List<RequestBatcher<Integer, String>> itself = new ArrayList<>();
        RequestBatcher<Integer, String> batcher = new RequestBatcher<>(tasks::add, 1, 100, requests -> {
            if (during.isEmpty()) {
                during.add(itself.getFirst().ask(2));
            }
            return answer(requests);
        });
        itself.add(batcher);
        CompletableFuture<String> first = batcher.ask(1);

        tasks.remove().run();

        assertThat(batches).containsExactly(List.of(1), List.of(2));
        assertThat(first.join()).isEqualTo("answer 1");
        assertThat(during.getFirst().join()).isEqualTo("answer 2");
        assertThat(tasks).isEmpty();
    }

    @Test
    void a_batch_has_a_limit_and_only_so_many_run_at_once() {
        RequestBatcher<Integer, String> batcher = batcher(2, 2);
        List<CompletableFuture<String>> answers = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            answers.add(batcher.ask(i));
        }

        assertThat(tasks).hasSize(2);
        tasks.remove().run();

        assertThat(batches).containsExactly(List.of(0, 1), List.of(2, 3), List.of(4));
        assertThat(answers).allMatch(CompletableFuture::isDone);
    }

    @Test
    void a_batch_that_fails_fails_its_own_requests_only() {
        RequestBatcher<Integer, String> batcher = new RequestBatcher<>(tasks::add, 1, 1, requests -> {
            if (requests.contains(1)) {
                throw new java.io.IOException("of the test");
            }
            return answer(requests);
        });
        CompletableFuture<String> bad = batcher.ask(1);
        CompletableFuture<String> good = batcher.ask(2);

        tasks.remove().run();

        assertThat(bad).isCompletedExceptionally();
        assertThat(good.join()).isEqualTo("answer 2");
    }

    @Test
    void a_request_without_an_answer_in_time_is_withdrawn() {
        RequestBatcher<Integer, String> batcher = batcher(1, 100);

        assertThatThrownBy(() -> batcher.ask(1, Duration.ofMillis(1))).isInstanceOf(TimeoutException.class);
        tasks.remove().run();

        assertThat(batches).isEmpty();
    }

    @Test
    void after_an_idle_time_a_new_batch_begins() throws Exception {
        RequestBatcher<Integer, String> batcher = new RequestBatcher<>(Runnable::run, 1, 100, this::answer);

        assertThat(batcher.ask(1, LONG)).isEqualTo("answer 1");
        assertThat(batcher.ask(2, LONG)).isEqualTo("answer 2");
        assertThat(batches).hasSize(2);
    }

    @Test
    void a_request_to_a_closed_executor_fails() {
        RequestBatcher<Integer, String> batcher = new RequestBatcher<>(
                _ -> {
                    throw new RejectedExecutionException("closed");
                },
                1,
                100,
                this::answer);

        assertThatThrownBy(() -> batcher.ask(1, LONG)).isInstanceOf(ExecutionException.class);
    }
}
