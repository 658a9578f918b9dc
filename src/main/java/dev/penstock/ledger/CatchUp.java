package dev.penstock.ledger;

import dev.penstock.settings.KafkaSettings;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * Waits until the projection has passed what the topics hold now, so that a job that any replica accepted is found by every
 * other. One question to the broker, and one look at the positions, serves all who wait.
 */
@Singleton
public class CatchUp {
    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(10);

    private final LedgerDatabase database;
    private final KafkaSettings kafka;
    private @Nullable Admin admin;

    /* Guarded by this. */
    private final Set<TopicPartition> asked = new HashSet<>();
    private @Nullable CompletableFuture<Map<TopicPartition, Long>> next;
    private boolean asking;
    private @Nullable CompletableFuture<Map<TopicPartition, Long>> look;

    public CatchUp(LedgerDatabase database, KafkaSettings kafka) {
        this.database = database;
        this.kafka = kafka;
    }

    /**
     * @return the ends that these partitions had after this call
     * @throws TimeoutException the broker did not say in time
     */
    Map<TopicPartition, Long> ends(Collection<TopicPartition> partitions, Duration atMost)
            throws InterruptedException, TimeoutException {
        try {
            Map<TopicPartition, Long> all = ask(partitions).get(atMost.toMillis(), TimeUnit.MILLISECONDS);
            Map<TopicPartition, Long> ends = new HashMap<>();
            partitions.forEach(partition -> ends.put(partition, all.getOrDefault(partition, 0L)));
            return ends;
        } catch (ExecutionException e) {
            TimeoutException timeout = new TimeoutException("the broker did not say where its topics end");
            timeout.initCause(e);
            throw timeout;
        }
    }

    private synchronized CompletableFuture<Map<TopicPartition, Long>> ask(Collection<TopicPartition> partitions) {
        asked.addAll(partitions);
        if (next == null) {
            next = new CompletableFuture<>();
        }
        CompletableFuture<Map<TopicPartition, Long>> mine = next;
        if (!asking) {
            askNow();
        }
        return mine;
    }

    /** A question under way may have been answered before this caller came: it waits for the one after. */
    private synchronized void askNow() {
        CompletableFuture<Map<TopicPartition, Long>> waiting = next;
        next = null;
        asking = waiting != null;
        if (waiting == null) {
            return;
        }
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        asked.forEach(partition -> latest.put(partition, OffsetSpec.latest()));
        asked.clear();
        var _ = admin().listOffsets(latest).all().whenComplete((offsets, failure) -> {
            if (failure == null) {
                Map<TopicPartition, Long> ends = new HashMap<>();
                offsets.forEach((partition, end) -> ends.put(partition, end.offset()));
                waiting.complete(ends);
            } else {
                waiting.completeExceptionally(failure);
            }
            askNow();
        });
    }

    /**
     * Waits until the projection has passed these offsets.
     *
     * @return false where it has not by then
     */
    boolean await(Map<TopicPartition, Long> ends, Duration atMost)
            throws InterruptedException, LedgerDatabase.Unavailable {
        long until = System.nanoTime() + atMost.toNanos();
        while (true) {
            Map<TopicPartition, Long> positions = positions();
            if (ends.entrySet().stream().allMatch(end -> positions.getOrDefault(end.getKey(), 0L) >= end.getValue())) {
                return true;
            }
            if (System.nanoTime() > until) {
                return false;
            }
            TimeUnit.NANOSECONDS.sleep(BETWEEN_LOOKS.toNanos());
        }
    }

    private Map<TopicPartition, Long> positions() throws InterruptedException, LedgerDatabase.Unavailable {
        CompletableFuture<Map<TopicPartition, Long>> others;
        CompletableFuture<Map<TopicPartition, Long>> own = new CompletableFuture<>();
        synchronized (this) {
            others = look;
            if (others == null) {
                look = own;
            }
        }
        if (others != null) {
            try {
                return others.get();
            } catch (ExecutionException e) {
                throw new LedgerDatabase.Unavailable("the ledger is away", e.getCause());
            }
        }
        try {
            Map<TopicPartition, Long> positions = database.read(Positions::all);
            own.complete(positions);
            return positions;
        } catch (LedgerDatabase.Unavailable | InterruptedException | RuntimeException e) {
            own.completeExceptionally(e);
            throw e;
        } finally {
            synchronized (this) {
                look = null;
            }
        }
    }

    private Admin admin() {
        Admin known = admin;
        if (known == null) {
            known = kafka.admin("penstock-ledger-ends");
            admin = known;
        }
        return known;
    }

    static Comparator<TopicPartition> inOrder() {
        return Comparator.comparing(TopicPartition::topic).thenComparingInt(TopicPartition::partition);
    }

    @PreDestroy
    synchronized void close() {
        if (admin != null) {
            admin.close(Duration.ofSeconds(2));
        }
    }
}
