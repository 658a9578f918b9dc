package dev.penstock.ledger.row;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.job.Waiting;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * The records of one job, merged by union, so that the order in which the partitions are read makes no difference. A
 * producer may give the same id to all its records. Then only the first {@link #MOST} records in the order of the
 * duplicate rule are kept, including refused records. Which records are kept depends only on the set of all records. No
 * record is left out in favour of a later one in this order, and the records of a partition arrive in order.
 *
 * @param records each record once, in the order of the duplicate rule
 * @param refused the refused records; they do not count
 * @param deferred the last deferred record of each origin, for each partition of the deferred topic
 * @param leftOut for each partition, the highest offset of a record that is not kept
 * @param refusal the content of the last refusal; null if there was none
 */
public record Submissions(
        List<Submission> records,
        SortedSet<RecordStamp> refused,
        SortedSet<DeferredRecord> deferred,
        SortedMap<TopicPartition, Long> leftOut,
        @Nullable Refusal refusal) {
    /**
     * The maximum number of records that are kept, and of deferred records that each partition keeps. If so many
     * records are refused, a later record is not shown.
     */
    public static final int MOST = 256;

    static final Submissions NONE =
            new Submissions(List.of(), new TreeSet<>(), new TreeSet<>(), new TreeMap<>(inOrder()), null);

    /**
     * A record on the deferred topic.
     *
     * @param origin the record that it stands for
     * @param lastAttempt the number of the last attempt that started before the record was written; 0 if none did
     * @param dueMillis the time at which the record is due; a replica may take it earlier
     * @param why the reason why the job waits
     */
    public record DeferredRecord(
            RecordStamp stamp, RecordPlace origin, int lastAttempt, long dueMillis, Waiting.Code why)
            implements Comparable<DeferredRecord> {
        private static final Comparator<DeferredRecord> ORDER = Comparator.comparing(DeferredRecord::stamp)
                .thenComparing((DeferredRecord each) -> each.origin().path())
                .thenComparingInt(DeferredRecord::lastAttempt);

        public boolean isDueAfter(Instant now) {
            return dueMillis > now.toEpochMilli();
        }

        /**
         * Returns whether both records defer the same origin in the same partition. If so, the earlier record is
         * finished.
         */
        private boolean isOfOneLine(DeferredRecord other) {
            return partition(stamp).equals(partition(other.stamp)) && origin.equals(other.origin);
        }

        @Override
        public int compareTo(DeferredRecord other) {
            return ORDER.compare(this, other);
        }
    }

    /** The origin of a deferred record whose own origin cannot be read. */
    static final RecordPlace UNKNOWN = new RecordPlace("?", 0, 0);

    private static final Comparator<Submission> ORDER = Comparator.comparing(Submission::stamp);

    public Submissions {
        records = List.copyOf(records);
        refused = Collections.unmodifiableSortedSet(new TreeSet<>(refused));
        deferred = Collections.unmodifiableSortedSet(new TreeSet<>(deferred));
        leftOut = Collections.unmodifiableSortedMap(new TreeMap<>(leftOut));
    }

    /** Adds many records and refusals at once; their order does not matter. */
    Submissions with(Collection<Submission> more, Collection<RecordStamp> struck) {
        Map<RecordPlace, Submission> all = new HashMap<>();
        records.forEach(record -> all.put(record.stamp().place(), record));
        more.forEach(record -> all.putIfAbsent(record.stamp().place(), record));
        List<Submission> ordered = all.values().stream().sorted(ORDER).toList();
        List<Submission> kept = ordered.subList(0, Math.min(MOST, ordered.size()));
        TreeMap<TopicPartition, Long> others = new TreeMap<>(leftOut);
        for (Submission record : ordered.subList(kept.size(), ordered.size())) {
            others.merge(partition(record.stamp()), record.stamp().place().offset(), Math::max);
            all.remove(record.stamp().place());
        }
        TreeSet<RecordStamp> refusals = new TreeSet<>(refused);
        refusals.addAll(struck);
        // keep a refusal only if its record is kept, or may still arrive behind the highest offset that was left out
        refusals.removeIf(refusal -> !all.containsKey(refusal.place())
                && refusal.place().offset() <= others.getOrDefault(partition(refusal), -1L));
        return new Submissions(kept, refusals, deferred, others, refusal);
    }

    /** Adds records and refusals. A refused record does not count. The content of the last refusal is kept. */
    Submissions withRefusals(Collection<Submission> more, Collection<Refusal> refusals) {
        Refusal last = refusal;
        for (Refusal each : refusals) {
            last = Refusal.later(last, each);
        }
        Submissions merged = with(more, refusals.stream().map(Refusal::record).toList());
        return new Submissions(merged.records, merged.refused, merged.deferred, merged.leftOut, last);
    }

    private static TopicPartition partition(RecordStamp stamp) {
        return new TopicPartition(stamp.place().topic(), stamp.place().partition());
    }

    /** Adds a deferred record. If a partition has too many, only its last ones are kept. */
    Submissions withDeferred(DeferredRecord record) {
        if (isDeferredAgain(record.stamp().place(), record.origin()) || deferred.contains(record)) {
            return this;
        }
        TreeSet<DeferredRecord> last = new TreeSet<>(deferred);
        last.removeIf(record::isOfOneLine);
        last.add(record);
        TopicPartition partition = partition(record.stamp());
        List<DeferredRecord> ofPartition = last.stream()
                .filter(other -> partition(other.stamp()).equals(partition))
                .sorted(Comparator.comparingLong(other -> other.stamp().place().offset()))
                .toList();
        ofPartition.subList(0, Math.max(0, ofPartition.size() - MOST)).forEach(last::remove);
        return new Submissions(records, refused, last, leftOut, refusal);
    }

    /** Returns whether the same origin was deferred again, in the same partition, after this deferred record. */
    public boolean isDeferredAgain(RecordPlace place, RecordPlace origin) {
        DeferredRecord asked = new DeferredRecord(new RecordStamp(0, place), origin, 0, 0, Waiting.Code.DEFERRED);
        return deferred.stream()
                .anyMatch(
                        last -> last.isOfOneLine(asked) && last.stamp().place().offset() > place.offset());
    }

    /** Returns the deferred record that was written last. */
    public Optional<DeferredRecord> lastDeferred() {
        return deferred.stream().max(Comparator.comparing(DeferredRecord::stamp));
    }

    /** Returns whether the job was deferred after the attempt with this number. Then no replica runs it. */
    public boolean isDeferredAfter(int attempt) {
        return deferred.stream().anyMatch(each -> each.lastAttempt() >= attempt && each.lastAttempt() > 0);
    }

    /** Returns the records that were not refused, in the order of the duplicate rule. */
    public List<Submission> standing() {
        Set<RecordPlace> struck = refused.stream().map(RecordStamp::place).collect(Collectors.toSet());
        return records.stream()
                .filter(record -> !struck.contains(record.stamp().place()))
                .toList();
    }

    /** Returns the record that the job belongs to; empty if none was read yet. */
    public Optional<Submission> chosen() {
        return standing().stream().findFirst();
    }

    /** Returns the stamps of the records, for the duplicate rule. */
    public Collection<RecordStamp> stamps() {
        return standing().stream().map(Submission::stamp).toList();
    }

    /** Returns the same submissions after a topic got a new name. */
    Submissions ofTopic(String topic, String name) {
        TreeSet<RecordStamp> struck = new TreeSet<>();
        refused.forEach(stamp -> struck.add(stamp.ofTopic(topic, name)));
        TreeSet<DeferredRecord> last = new TreeSet<>();
        deferred.forEach(each -> last.add(new DeferredRecord(
                each.stamp().ofTopic(topic, name),
                each.origin().ofTopic(topic, name),
                each.lastAttempt(),
                each.dueMillis(),
                each.why())));
        TreeMap<TopicPartition, Long> others = new TreeMap<>(inOrder());
        leftOut.forEach((partition, offset) -> others.put(
                partition.topic().equals(topic) ? new TopicPartition(name, partition.partition()) : partition, offset));
        return new Submissions(
                records.stream().map(record -> record.ofTopic(topic, name)).toList(),
                struck,
                last,
                others,
                refusal == null ? null : refusal.ofTopic(topic, name));
    }

    public Submissions slim() {
        return new Submissions(records.stream().map(Submission::slim).toList(), refused, deferred, leftOut, null);
    }

    public String toJson() {
        ObjectNode root = Json.mapper().createObjectNode();
        ArrayNode list = root.putArray("records");
        for (Submission record : records) {
            ObjectNode node = list.addObject();
            write(node, record.stamp());
            node.put("hash", record.bodyHash())
                    .put("task", record.task().wireName())
                    .put("priority", record.priority().wireName())
                    .put("tenant", record.tenant())
                    .put("timeout", record.timeoutMillis());
            if (record.model() != null) {
                node.put("model", record.model());
            }
            if (record.deadlineMillis() != null) {
                node.put("deadline", record.deadlineMillis());
            }
            if (record.pins().pool() != null) {
                node.put("pool", record.pins().pool());
            }
            if (record.pins().node() != null) {
                node.put("node", record.pins().node());
            }
            if (record.webhook() != null) {
                node.put("webhook", record.webhook());
            }
            if (!record.metadata().isEmpty()) {
                node.set("metadata", Json.mapper().valueToTree(new TreeMap<>(record.metadata())));
            }
        }
        if (!refused.isEmpty()) {
            ArrayNode struck = root.putArray("refused");
            refused.forEach(stamp -> write(struck.addObject(), stamp));
        }
        if (!deferred.isEmpty()) {
            ArrayNode last = root.putArray("copies");
            deferred.forEach(each -> write(
                    last.addObject()
                            .put("of", each.origin().path())
                            .put("attempt", each.lastAttempt())
                            .put("due", each.dueMillis())
                            .put("why", each.why().wireName()),
                    each.stamp()));
        }
        if (!leftOut.isEmpty()) {
            ArrayNode others = root.putArray("left_out");
            leftOut.forEach((partition, offset) ->
                    write(others.addObject(), new RecordPlace(partition.topic(), partition.partition(), offset)));
        }
        if (refusal != null) {
            root.set("refusal", refusal.toJson());
        }
        return new String(Json.bytes(root), StandardCharsets.UTF_8);
    }

    public static Submissions ofJson(@Nullable String json) {
        JsonNode root = json == null ? null : Json.parseLenient(json);
        if (root == null) {
            return NONE;
        }
        List<Submission> records = new ArrayList<>();
        for (JsonNode node : root.path("records")) {
            Map<String, String> metadata = new HashMap<>();
            node.path("metadata")
                    .properties()
                    .forEach(pair -> metadata.put(pair.getKey(), pair.getValue().asText()));
            records.add(new Submission(
                    stamp(node),
                    node.path("hash").asText(),
                    find(Task.values(), Task::wireName, node.path("task").asText()),
                    find(
                            Priority.values(),
                            Priority::wireName,
                            node.path("priority").asText()),
                    node.path("tenant").asText(),
                    node.hasNonNull("model") ? node.path("model").asText() : null,
                    node.path("timeout").asLong(),
                    node.hasNonNull("deadline") ? (Long) node.path("deadline").asLong() : null,
                    new PromptJob.Pins(
                            node.path("pool").asText(null), node.path("node").asText(null)),
                    metadata,
                    node.path("webhook").asText(null)));
        }
        TreeSet<RecordStamp> refused = new TreeSet<>();
        root.path("refused").forEach(node -> refused.add(stamp(node)));
        TreeSet<DeferredRecord> deferred = new TreeSet<>();
        root.path("copies")
                .forEach(node -> deferred.add(new DeferredRecord(
                        stamp(node),
                        RecordPlace.ofPath(node.path("of").asText()).orElse(UNKNOWN),
                        node.path("attempt").asInt(),
                        node.path("due").asLong(),
                        Waiting.Code.of(node.path("why").asText()).orElse(Waiting.Code.DEFERRED))));
        SortedMap<TopicPartition, Long> leftOut = new TreeMap<>(inOrder());
        for (JsonNode node : root.path("left_out")) {
            RecordPlace highest = place(node);
            leftOut.put(new TopicPartition(highest.topic(), highest.partition()), highest.offset());
        }
        return new Submissions(records, refused, deferred, leftOut, Refusal.ofJson(root.get("refusal")));
    }

    private static void write(ObjectNode node, RecordStamp stamp) {
        write(node, stamp.place());
        node.put("ms", stamp.millis());
    }

    private static void write(ObjectNode node, RecordPlace place) {
        node.put("topic", place.topic()).put("partition", place.partition()).put("offset", place.offset());
    }

    private static RecordStamp stamp(JsonNode node) {
        return new RecordStamp(node.path("ms").asLong(), place(node));
    }

    private static RecordPlace place(JsonNode node) {
        return new RecordPlace(
                node.path("topic").asText(),
                node.path("partition").asInt(),
                node.path("offset").asLong());
    }

    private static <T> T find(T[] values, Function<T, String> name, String wanted) {
        for (T value : values) {
            if (name.apply(value).equals(wanted)) {
                return value;
            }
        }
        throw new IllegalStateException("the ledger holds an unknown name: " + wanted);
    }

    /** Returns the order of partitions: by topic, then by number. */
    public static Comparator<TopicPartition> inOrder() {
        return Comparator.comparing(TopicPartition::topic).thenComparingInt(TopicPartition::partition);
    }
}
