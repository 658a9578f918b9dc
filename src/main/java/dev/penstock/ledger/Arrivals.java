package dev.penstock.ledger;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Priority;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * By which records a job came in, merged by union, so that the order in which they are seen makes no difference.
 *
 * @param records each once, in the duplicate rule's order
 * @param refused records that were told to be no jobs; they strike out
 * @param copies that were set aside: of each record, in each partition of their topic, the last
 */
public record Arrivals(List<Submission> records, SortedSet<RecordStamp> refused, SortedSet<Copy> copies) {
    static final Arrivals NONE = new Arrivals(List.of(), new TreeSet<>(), new TreeSet<>());

    /** @param origin the record that it is a copy of */
    public record Copy(RecordStamp stamp, RecordPlace origin) implements Comparable<Copy> {
        private static final Comparator<Copy> ORDER = Comparator.comparing(Copy::stamp)
                .thenComparing(copy -> copy.origin().path());

        /** A later one of the same record means that this one was done with. */
        private boolean isOfOneLine(Copy other) {
            RecordPlace own = stamp.place();
            RecordPlace its = other.stamp.place();
            return own.topic().equals(its.topic()) && own.partition() == its.partition() && origin.equals(other.origin);
        }

        @Override
        public int compareTo(Copy other) {
            return ORDER.compare(this, other);
        }
    }

    /** The origin of a copy that does not say it. */
    static final RecordPlace UNKNOWN = new RecordPlace("?", 0, 0);

    private static final Comparator<Submission> ORDER = Comparator.comparing(Submission::stamp);

    public Arrivals {
        records = List.copyOf(records);
        refused = Collections.unmodifiableSortedSet(new TreeSet<>(refused));
        copies = Collections.unmodifiableSortedSet(new TreeSet<>(copies));
    }

    Arrivals with(Submission record) {
        if (records.stream()
                .anyMatch(known -> known.stamp().place().equals(record.stamp().place()))) {
            return this;
        }
        List<Submission> more = new ArrayList<>(records);
        more.add(record);
        more.sort(ORDER);
        return new Arrivals(more, refused, copies);
    }

    Arrivals withRefused(RecordStamp record) {
        TreeSet<RecordStamp> more = new TreeSet<>(refused);
        more.add(record);
        return more.equals(refused) ? this : new Arrivals(records, more, copies);
    }

    Arrivals withCopy(Copy copy) {
        if (hasLaterCopy(copy.stamp().place(), copy.origin()) || copies.contains(copy)) {
            return this;
        }
        TreeSet<Copy> last = new TreeSet<>(copies);
        last.removeIf(copy::isOfOneLine);
        last.add(copy);
        return new Arrivals(records, refused, last);
    }

    /** Whether the same record was set aside again, in the same partition, after this copy. */
    public boolean hasLaterCopy(RecordPlace copy, RecordPlace origin) {
        Copy asked = new Copy(new RecordStamp(0, copy), origin);
        return copies.stream()
                .anyMatch(
                        last -> last.isOfOneLine(asked) && last.stamp().place().offset() > copy.offset());
    }

    /** The records that count, the smallest first. */
    public List<Submission> standing() {
        return records.stream()
                .filter(record -> refused.stream()
                        .noneMatch(
                                struck -> struck.place().equals(record.stamp().place())))
                .toList();
    }

    /** The record whose job it is; empty: none has been seen yet. */
    public Optional<Submission> chosen() {
        return standing().stream().findFirst();
    }

    /** As the duplicate rule asks for them. */
    public Collection<RecordStamp> stamps() {
        return standing().stream().map(Submission::stamp).toList();
    }

    Arrivals slim() {
        return new Arrivals(records.stream().map(Submission::slim).toList(), refused, copies);
    }

    String toJson() {
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
            if (!record.metadata().isEmpty()) {
                node.set("metadata", Json.mapper().valueToTree(new TreeMap<>(record.metadata())));
            }
        }
        if (!refused.isEmpty()) {
            ArrayNode struck = root.putArray("refused");
            refused.forEach(stamp -> write(struck.addObject(), stamp));
        }
        if (!copies.isEmpty()) {
            ArrayNode last = root.putArray("copies");
            copies.forEach(
                    copy -> write(last.addObject().put("of", copy.origin().path()), copy.stamp()));
        }
        return new String(Json.bytes(root), StandardCharsets.UTF_8);
    }

    static Arrivals ofJson(@Nullable String json) {
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
                    named(Task.values(), Task::wireName, node.path("task").asText()),
                    named(
                            Priority.values(),
                            Priority::wireName,
                            node.path("priority").asText()),
                    node.path("tenant").asText(),
                    node.hasNonNull("model") ? node.path("model").asText() : null,
                    node.path("timeout").asLong(),
                    node.hasNonNull("deadline") ? (Long) node.path("deadline").asLong() : null,
                    metadata));
        }
        TreeSet<RecordStamp> refused = new TreeSet<>();
        root.path("refused").forEach(node -> refused.add(stamp(node)));
        TreeSet<Copy> copies = new TreeSet<>();
        root.path("copies")
                .forEach(node -> copies.add(new Copy(
                        stamp(node),
                        RecordPlace.ofPath(node.path("of").asText()).orElse(UNKNOWN))));
        return new Arrivals(records, refused, copies);
    }

    private static void write(ObjectNode node, RecordStamp stamp) {
        node.put("topic", stamp.place().topic())
                .put("partition", stamp.place().partition())
                .put("offset", stamp.place().offset())
                .put("ms", stamp.millis());
    }

    private static RecordStamp stamp(JsonNode node) {
        RecordPlace place = new RecordPlace(
                node.path("topic").asText(),
                node.path("partition").asInt(),
                node.path("offset").asLong());
        return new RecordStamp(node.path("ms").asLong(), place);
    }

    private static <T> T named(T[] values, Function<T, String> name, String wanted) {
        for (T value : values) {
            if (name.apply(value).equals(wanted)) {
                return value;
            }
        }
        throw new IllegalStateException("the ledger holds an unknown name: " + wanted);
    }
}
