package dev.penstock.intake.record;

import dev.penstock.dispatch.Deferral;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Waiting;
import dev.penstock.schedule.RouteKey;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.EventHeaders;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;

/**
 * The record that a job came in, and the headers that a deferred record has for it: {@code job-id},
 * {@code penstock-origin} (topic/partition/offset), {@code penstock-created-at} and {@code penstock-not-before}
 * (milliseconds since 1970), {@code penstock-key}, {@code penstock-set-aside} (when the job was first deferred),
 * {@code penstock-handed-back} (the last attempt of a run that ended alive), {@code penstock-failures} (attempts that
 * failed at a node), {@code penstock-broken-runs} (runs that an unexpected exception ended before they started),
 * {@code penstock-waits-for} and {@code penstock-wish} (what the job waits for, and what decides which nodes may serve
 * it), {@code penstock-tenant} and {@code penstock-priority} (what its topic sets, for a replica that has no such
 * topic).
 *
 * @param record as it came from its producer, with its original topic, partition and offset
 * @param copy the place of the deferred record; null: this is the record itself
 * @param id the job's id, by the deferred record; null: this is the record itself
 * @param notBefore when the deferred record is due
 * @param deferredAt when the job was first deferred; null: never
 * @param topic what the deferred record has of its topic; null: this is the record itself
 * @param handedBack 0: never
 * @param failures attempts that count against the job's max_attempts
 * @param brokenRuns runs that an unexpected exception ended before they started
 * @param why what the job waits for, by the deferred record; null: it has none, or this is the record itself
 * @param routeKey the key of a job that waits for its nodes; null: it waits for something else
 */
public record OriginRecord(
        ConsumerRecord<byte[], byte[]> record,
        @Nullable RecordPlace copy,
        @Nullable JobId id,
        Instant notBefore,
        @Nullable Instant deferredAt,
        @Nullable TopicDefaults topic,
        int handedBack,
        int failures,
        int brokenRuns,
        Waiting.@Nullable Code why,
        @Nullable RouteKey routeKey) {
    private static final String PREFIX = "penstock-";
    private static final String CREATED_AT = PREFIX + "created-at";
    private static final String KEY = PREFIX + "key";
    private static final String SET_ASIDE = PREFIX + "set-aside";
    private static final String FAILURES = PREFIX + "failures";
    private static final String BROKEN_RUNS = PREFIX + "broken-runs";
    private static final String TENANT = PREFIX + "tenant";
    private static final String PRIORITY = PREFIX + "priority";
    private static final String WISH = PREFIX + "wish";

    /** The end of the year 9999: times up to it can be added to and subtracted from. */
    private static final long LATEST = 253_402_300_799_999L;

    /**
     * A deferred record is due within minutes of its writing; the clocks of its writer and of the broker may differ by
     * hours.
     */
    private static final long FURTHEST = Duration.ofDays(1).toMillis();

    private static final long MOST_ATTEMPTS = 1_000_000;
    private static final int LONGEST_TENANT = 256;

    /** What a topic sets for jobs that do not set it themselves. */
    record TopicDefaults(String tenant, Priority priority) {
        static TopicDefaults of(Settings.JobTopic topic) {
            return new TopicDefaults(topic.tenant(), topic.priority());
        }
    }

    /** A record of a job topic. Penstock's headers in it come from its producer, and have no meaning. */
    public static OriginRecord itself(ConsumerRecord<byte[], byte[]> record) {
        return new OriginRecord(record, null, null, Instant.EPOCH, null, null, 0, 0, 0, null, null);
    }

    /**
     * A record of the topic of deferred jobs. Empty where Penstock did not write it: headers are missing, or have
     * values that Penstock never writes. A record that is due in years would block all records behind it.
     */
    public static Optional<OriginRecord> ofCopy(ConsumerRecord<byte[], byte[]> copy) {
        RecordPlace place = RecordPlace.ofPath(String.valueOf(EventHeaders.text(copy.headers(), EventHeaders.ORIGIN)))
                .orElse(null);
        Long createdAt = EventHeaders.number(copy.headers(), CREATED_AT);
        Long notBefore = EventHeaders.number(copy.headers(), EventHeaders.NOT_BEFORE);
        String id = String.valueOf(EventHeaders.text(copy.headers(), EventHeaders.JOB_ID));
        if (place == null || !JobId.isValid(id) || createdAt == null || notBefore == null || !isPlausible(copy)) {
            return Optional.empty();
        }
        RecordHeaders headers = new RecordHeaders();
        for (Header header : copy.headers()) {
            if (!header.key().startsWith(PREFIX) && !header.key().equals(EventHeaders.JOB_ID)) {
                headers.add(header);
            }
        }
        Header ownId = copy.headers().lastHeader(PREFIX + EventHeaders.JOB_ID);
        if (ownId != null) {
            headers.add(EventHeaders.JOB_ID, ownId.value());
        }
        Header key = copy.headers().lastHeader(KEY);
        Header wish = copy.headers().lastHeader(WISH);
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>(
                place.topic(),
                place.partition(),
                place.offset(),
                createdAt,
                TimestampType.LOG_APPEND_TIME,
                copy.serializedKeySize(),
                copy.serializedValueSize(),
                key == null ? null : key.value(),
                copy.value(),
                headers,
                Optional.empty());
        Long since = EventHeaders.number(copy.headers(), SET_ASIDE);
        Long handedBack = EventHeaders.number(copy.headers(), EventHeaders.HANDED_BACK);
        Long failures = EventHeaders.number(copy.headers(), FAILURES);
        Long brokenRuns = EventHeaders.number(copy.headers(), BROKEN_RUNS);
        return Optional.of(new OriginRecord(
                record,
                placeOf(copy),
                new JobId(id),
                Instant.ofEpochMilli(notBefore),
                since == null ? null : Instant.ofEpochMilli(since),
                topicDefaults(copy.headers()).orElse(null),
                handedBack == null ? 0 : handedBack.intValue(),
                failures == null ? 0 : failures.intValue(),
                brokenRuns == null ? 0 : brokenRuns.intValue(),
                Waiting.Code.of(String.valueOf(EventHeaders.text(copy.headers(), EventHeaders.WAITS_FOR)))
                        .orElse(null),
                wish == null ? null : RouteKey.ofJson(wish.value()).orElse(null)));
    }

    /** Whether Penstock can have written the values of these headers, where they are present. */
    private static boolean isPlausible(ConsumerRecord<byte[], byte[]> copy) {
        Headers headers = copy.headers();
        String origin = String.valueOf(EventHeaders.text(headers, EventHeaders.ORIGIN));
        String tenant = EventHeaders.text(headers, TENANT);
        return origin.matches("[a-zA-Z0-9._-]{1,249}/.*")
                && isWithin(headers, CREATED_AT, -1, LATEST)
                && isWithin(headers, SET_ASIDE, -1, LATEST)
                && isWithin(headers, EventHeaders.NOT_BEFORE, -1, Math.min(LATEST, copy.timestamp() + FURTHEST))
                && isWithin(headers, EventHeaders.HANDED_BACK, 0, MOST_ATTEMPTS)
                && isWithin(headers, FAILURES, 0, MOST_ATTEMPTS)
                && isWithin(headers, BROKEN_RUNS, 0, MOST_ATTEMPTS)
                && (tenant == null
                        || (tenant.length() <= LONGEST_TENANT && tenant.chars().noneMatch(Character::isISOControl)));
    }

    private static boolean isWithin(Headers headers, String name, long least, long most) {
        Long number = EventHeaders.number(headers, name);
        return number == null ? headers.lastHeader(name) == null : number >= least && number <= most;
    }

    /**
     * @param topic the topic of deferred jobs
     * @param partitions the partitions of that topic
     * @param from what is known of the topic that the job came in by
     */
    ProducerRecord<byte[], byte[]> copyTo(
            String topic,
            int partitions,
            Optional<TopicDefaults> from,
            JobId id,
            Deferral deferral,
            int lastHandedBack,
            int failed,
            Instant now) {
        Headers headers = new RecordHeaders();
        for (Header header : record.headers()) {
            if (!header.key().startsWith(PREFIX)) {
                // the job's own header job-id may not be one: the id depends on the value too
                headers.add(
                        header.key().equals(EventHeaders.JOB_ID) ? PREFIX + EventHeaders.JOB_ID : header.key(),
                        header.value());
            }
        }
        byte[] key = EventHeaders.utf8(id.value());
        headers.add(EventHeaders.JOB_ID, key)
                .add(EventHeaders.ORIGIN, EventHeaders.utf8(place().path()))
                .add(CREATED_AT, utf8(record.timestamp()))
                .add(
                        EventHeaders.NOT_BEFORE,
                        utf8(now.plus(deferral.delay().length()).toEpochMilli()))
                .add(SET_ASIDE, utf8((deferredAt == null ? now : deferredAt).toEpochMilli()));
        from.or(() -> Optional.ofNullable(this.topic))
                .ifPresent(known -> headers.add(TENANT, EventHeaders.utf8(known.tenant()))
                        .add(PRIORITY, EventHeaders.utf8(known.priority().wireName())));
        headers.add(EventHeaders.WAITS_FOR, EventHeaders.utf8(deferral.why().wireName()));
        if (deferral.routeKey() != null) {
            headers.add(WISH, deferral.routeKey().toJson());
        }
        if (lastHandedBack > 0) {
            headers.add(EventHeaders.HANDED_BACK, utf8(lastHandedBack));
        }
        if (failed > 0) {
            headers.add(FAILURES, utf8(failed));
        }
        // what a run that started since then left behind is counted anew
        if (brokenRuns > 0 && lastHandedBack <= handedBack) {
            headers.add(BROKEN_RUNS, utf8(brokenRuns));
        }
        if (record.key() != null) {
            headers.add(KEY, record.key());
        }
        return new ProducerRecord<>(
                topic, deferral.delay().partition() % partitions, null, key, record.value(), headers);
    }

    private static Optional<TopicDefaults> topicDefaults(Headers headers) {
        String tenant = EventHeaders.text(headers, TENANT);
        String priority = EventHeaders.text(headers, PRIORITY);
        return tenant == null
                ? Optional.empty()
                : Stream.of(Priority.values())
                        .filter(known -> known.wireName().equals(priority))
                        .findFirst()
                        .map(known -> new TopicDefaults(tenant, known));
    }

    /** The record with its value, which a poll had left out. */
    OriginRecord withValue(byte[] value) {
        ConsumerRecord<byte[], byte[]> whole = new ConsumerRecord<>(
                record.topic(),
                record.partition(),
                record.offset(),
                record.timestamp(),
                record.timestampType(),
                record.serializedKeySize(),
                record.serializedValueSize(),
                record.key(),
                value,
                record.headers(),
                record.leaderEpoch(),
                record.deliveryCount());
        return new OriginRecord(
                whole, copy, id, notBefore, deferredAt, topic, handedBack, failures, brokenRuns, why, routeKey);
    }

    public OriginRecord withBrokenRuns(int runs) {
        return runs == brokenRuns
                ? this
                : new OriginRecord(
                        record, copy, id, notBefore, deferredAt, topic, handedBack, failures, runs, why, routeKey);
    }

    /** The place where the job came in. */
    public RecordPlace place() {
        return placeOf(record);
    }

    public static RecordPlace placeOf(ConsumerRecord<?, ?> record) {
        return new RecordPlace(record.topic(), record.partition(), record.offset());
    }

    private static byte[] utf8(long number) {
        return EventHeaders.utf8(Long.toString(number));
    }
}
