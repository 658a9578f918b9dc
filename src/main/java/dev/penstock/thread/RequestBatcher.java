package dev.penstock.thread;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Answers requests in batches. Requests that arrive during a batch wait for the next batch, so an answer is never
 * older than its request. Thread-safe.
 *
 * @param <Q> a request
 * @param <A> its answer
 */
public final class RequestBatcher<Q, A> {
    private final Executor executor;
    private final int atOnce;
    private final int mostPerBatch;
    private final Batch<Q, A> batch;

    /* Guarded by this. */
    private final Set<Waiting<Q, A>> waiting = new LinkedHashSet<>();
    private int running;

    /** Answers several requests with one call to the broker or the database. */
    @FunctionalInterface
    public interface Batch<Q, A> {
        /** @return the answers, in the order of the requests */
        List<A> answer(List<Q> requests) throws Exception;
    }

    /** The request of one caller. Two callers with equal requests have two of these objects. */
    private static final class Waiting<Q, A> {
        private final Q request;
        private final CompletableFuture<A> answer = new CompletableFuture<>();

        Waiting(Q request) {
            this.request = request;
        }
    }

    /**
     * @param executor runs the batches
     * @param atOnce the number of batches that may run at the same time
     * @param mostPerBatch the largest number of requests in a batch
     * @param batch answers a batch; if it fails, all requests of this batch fail, and the next batch follows
     */
    public RequestBatcher(Executor executor, int atOnce, int mostPerBatch, Batch<Q, A> batch) {
        this.executor = executor;
        this.atOnce = atOnce;
        this.mostPerBatch = mostPerBatch;
        this.batch = batch;
    }

    /** Asks without waiting. The answer completes on the thread of the batch. */
    public CompletableFuture<A> ask(Q request) {
        return add(request).answer;
    }

    /**
     * Asks, and waits.
     *
     * @throws ExecutionException its batch failed
     * @throws TimeoutException there is no answer in time; the request is withdrawn
     */
    public A ask(Q request, Duration atMost) throws ExecutionException, TimeoutException, InterruptedException {
        Waiting<Q, A> mine = add(request);
        try {
            return mine.answer.get(atMost.toNanos(), TimeUnit.NANOSECONDS);
        } finally {
            withdraw(mine);
        }
    }

    private Waiting<Q, A> add(Q request) {
        Waiting<Q, A> mine = new Waiting<>(request);
        synchronized (this) {
            waiting.add(mine);
            if (running == atOnce) {
                return mine;
            }
            running++;
        }
        try {
            executor.execute(this::serve);
        } catch (RejectedExecutionException e) {
            // the executor is closed
            synchronized (this) {
                running--;
            }
            withdraw(mine);
            mine.answer.completeExceptionally(e);
        }
        return mine;
    }

    private synchronized void withdraw(Waiting<Q, A> request) {
        waiting.remove(request);
    }

    private void serve() {
        List<Waiting<Q, A>> taken = take();
        while (!taken.isEmpty()) {
            answer(taken);
            taken = take();
        }
    }

    private synchronized List<Waiting<Q, A>> take() {
        List<Waiting<Q, A>> taken = new ArrayList<>();
        Iterator<Waiting<Q, A>> next = waiting.iterator();
        while (next.hasNext() && taken.size() < mostPerBatch) {
            taken.add(next.next());
            next.remove();
        }
        if (taken.isEmpty()) {
            running--;
        }
        return taken;
    }

    private void answer(List<Waiting<Q, A>> taken) {
        try {
            List<A> answers =
                    batch.answer(taken.stream().map(each -> each.request).toList());
            for (int i = 0; i < taken.size(); i++) {
                taken.get(i).answer.complete(answers.get(i));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            taken.forEach(each -> each.answer.completeExceptionally(e));
        } catch (Exception | Error e) {
            taken.forEach(each -> each.answer.completeExceptionally(e));
        }
    }
}
