package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;

/** A client whose jobs are waits: each record is accepted after its job's time, unless its lock is lost before. */
final class WorkingMember implements Receiver, AutoCloseable {
    private final ScheduledExecutorService jobs =
            Executors.newScheduledThreadPool(1, Thread.ofPlatform().daemon().factory());
    private final Work work;
    private final Set<TakenRecord> running = ConcurrentHashMap.newKeySet();
    private final AtomicLong number = new AtomicLong();
    private final List<Subscription> subscriptions = new ArrayList<>();
    final List<String> lost = new CopyOnWriteArrayList<>();
    final ShareClient client;

    /**
     * What all members of a test have done, by the records' values.
     *
     * @param absences how long records waited for a member, once for each time that a member took one
     */
    record Work(
            Map<String, Integer> runs,
            Map<String, Long> doneAt,
            Map<String, Place> places,
            List<Absence> absences,
            int shortest,
            int longest) {
        Work(int shortest, int longest) {
            this(
                    new ConcurrentHashMap<>(),
                    new ConcurrentHashMap<>(),
                    new ConcurrentHashMap<>(),
                    new CopyOnWriteArrayList<>(),
                    shortest,
                    longest);
        }

        /** The record is on its way to the broker. */
        void sent(String value) {
            places.put(value, new Place(0, System.nanoTime(), 0));
        }

        private void taken(String value, int deliveries) {
            places.computeIfPresent(value, (_, place) -> {
                int further = Math.max(1, deliveries - place.deliveries());
                long nanos = place.members() > 0 ? 0 : System.nanoTime() - place.leftAt();
                absences.add(new Absence(value, further, nanos / 1_000_000));
                return new Place(place.members() + 1, place.leftAt(), deliveries);
            });
        }

        private void left(String value) {
            places.computeIfPresent(
                    value, (_, place) -> new Place(place.members() - 1, System.nanoTime(), place.deliveries()));
        }
    }

    /**
     * Where a record is.
     *
     * @param members how many members run it
     * @param leftAt when it was sent, or when the last member ended it or lost it
     * @param deliveries the broker's count at the last time that a member took it
     */
    record Place(int members, long leftAt, int deliveries) {}

    /**
     * The time in which no member ran a record.
     *
     * @param deliveries how often the broker delivered it in this time and at its end
     */
    record Absence(String value, int deliveries, long millis) {
        /** Returns how much longer this was than all locks of these deliveries together. */
        long beyondLocks(long lockMillis) {
            return millis - deliveries * lockMillis;
        }
    }

    WorkingMember(String bootstrap, Map<String, Object> more, Work work) {
        this.work = work;
        Map<String, Object> properties = new HashMap<>(more);
        properties.put("bootstrap.servers", bootstrap);
        properties.put("client.id", "share-test");
        client = new ShareClient(properties, ShareOptions.defaults(1 << 20, 1 << 26), Duration.ofSeconds(5));
    }

    WorkingMember take(String topic, int room) {
        Subscription subscription = client.subscribe(topic, "group-" + topic, this, 0);
        subscription.room(room);
        subscriptions.add(subscription);
        return this;
    }

    /** Waits until a topic's group has read each partition, and has no unfinished record. */
    static void awaitDone(Broker broker, String topic, Duration patience) throws Exception {
        String group = "group-" + topic;
        try (Admin admin = broker.admin()) {
            Conditions.await(
                    () -> admin
                            .listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                            .partitionsToOffsetInfo(group)
                            .get()
                            .values()
                            .stream()
                            .allMatch(info -> info != null && info.lag().orElse(-1L) == 0),
                    patience,
                    "all records of " + topic + " are done");
        }
    }

    WorkingMember start() {
        client.start();
        return this;
    }

    @Override
    public void taken(TakenRecord record) {
        String value = value(record);
        work.runs().merge(value, 1, Integer::sum);
        work.taken(value, record.deliveries());
        running.add(record);
        long spread = (long) work.longest() - work.shortest() + 1;
        long millis = work.shortest() + (number.getAndIncrement() * 37) % spread;
        var _ = jobs.schedule(() -> done(record), millis, TimeUnit.MILLISECONDS);
    }

    private void done(TakenRecord record) {
        if (running.remove(record)) {
            work.left(value(record));
            work.doneAt().putIfAbsent(value(record), System.nanoTime());
            subscriptions.stream()
                    .filter(one -> one.topic().equals(record.record().topic()))
                    .forEach(one -> one.finish(record, Acknowledgement.ACCEPT));
        }
    }

    @Override
    public void lost(TakenRecord record, String why) {
        if (running.remove(record)) {
            work.left(value(record));
        }
        lost.add(record + ": " + why);
    }

    @Override
    public void damaged(int partition, long offset, String why) {
        lost.add(offset + ": " + why);
    }

    private static String value(TakenRecord record) {
        byte[] value = record.record().value();
        int end = 0;
        while (end < value.length && value[end] != ' ') {
            end++;
        }
        return new String(value, 0, end, StandardCharsets.UTF_8);
    }

    ShareStatistics statistics() {
        return subscriptions.getFirst().statistics();
    }

    @Override
    public void close() {
        client.close();
        jobs.shutdownNow();
    }
}
