package dev.penstock.intake.record;

import dev.penstock.dispatch.Deferral;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Waiting;
import dev.penstock.route.RouteKey;
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
 * The record in which a job arrived. If the job was deferred, this object also has the job's state from the deferred
 * record. A deferred record has these headers:
 *
 * <ul>
 *   <li>{@code job-id}: the job's id
 *   <li>{@code penstock-origin}: the topic, partition and offset of the record in which the job arrived
 *   <li>{@code penstock-created-at}: the time of that record, in milliseconds since 1970
 *   <li>{@code penstock-not-before}: the time when the deferred record is due, in milliseconds since 1970
 *   <li>{@code penstock-key}: the key of the record in which the job arrived
 *   <li>{@code penstock-set-aside}: when the job was first deferred
 *   <li>{@code penstock-handed-back}: the last attempt of the last run that ended without a crash
 *   <li>{@code penstock-failures}: the number of attempts that failed at a node
 *   <li>{@code penstock-broken-runs}: the number of runs that an unexpected exception ended before they started
 *   <li>{@code penstock-waits-for}: the reason for the wait
 *   <li>{@code penstock-command}: the route key of a job that waits for its nodes
 *   <li>{@code penstock-tenant}, {@code penstock-priority}: the settings of the job's topic, for a replica that lacks
 *       this topic
 * </ul>
 *
 * @param record the record as its producer sent it, with its original topic, partition and offset
 * @param deferred the place of the deferred record; null if there is none
 * @param id the job's id in the deferred record; null if there is no deferred record
 * @param notBefore the time when the deferred record is due
 * @param deferredAt the time when the job was first deferred; null if it never was
 * @param topic the topic settings in the deferred record; null if it has none or there is no deferred record
 * @param handedBack the last attempt of the last run that ended without a crash; 0 if there is none
 * @param failures the number of failed attempts that count against the job's max_attempts
 * @param brokenRuns the number of runs that an unexpected exception ended before they started
 * @param why the reason for the wait in the deferred record; null if it has none or there is no deferred record
 * @param routeKey the route key of a job that waits for its nodes; null if it waits for something else
 */
public record OriginRecord(
        ConsumerRecord<byte[], byte[]> record,
        @Nullable RecordPlace deferred,
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
    private static final String DEFERRED_SINCE = PREFIX + "set-aside";
    private static final String FAILURES = PREFIX + "failures";
    private static final String BROKEN_RUNS = PREFIX + "broken-runs";
    private static final String TENANT = PREFIX + "tenant";
    private static final String PRIORITY = PREFIX + "priority";
    private static final String WISH = PREFIX + "wish";

    /**
     * The end of the year 9999. Durations can be added to any earlier time, or subtracted from it, without an overflow.
     */
    private static final long LATEST = 253_402_300_799_999L;

    /**
     * The longest plausible time from the writing of a deferred record to the time when it is due. Real delays are
     * minutes, but the clocks of the writer and of the broker may differ by hours.
     */
    private static final long FURTHEST = Duration.ofDays(1).toMillis();

    private static final long MOST_ATTEMPTS = 1_000_000;
    private static final int LONGEST_TENANT = 256;

    /** The tenant and the priority that a topic gives to a job that does not set them. */
    record TopicDefaults(String tenant, Priority priority) {
        static TopicDefaults of(Settings.JobTopic topic) {
            return new TopicDefaults(topic.tenant(), topic.priority());
        }
    }

    /**
     * Returns the origin for a record of a job topic. If such a record has headers with Penstock's prefix, they come
     * from its producer and have no meaning.
     */
    public static OriginRecord itself(ConsumerRecord<byte[], byte[]> record) {
        return new OriginRecord(record, null, null, Instant.EPOCH, null, null, 0, 0, 0, null, null);
    }

    /**
     * Returns the origin for a record of the topic of deferred jobs. The result is empty if Penstock did not write the
     * record: then headers are missing, or have values that Penstock never writes. For example, a record that is due in
     * years would block all later records.
     */
    public static Optional<OriginRecord> ofDeferred(ConsumerRecord<byte[], byte[]> deferred) {
        RecordPlace place = RecordPlace.ofPath(
                        String.valueOf(EventHeaders.text(deferred.headers(), EventHeaders.ORIGIN)))
                .orElse(null);
        Long createdAt = EventHeaders.number(deferred.headers(), CREATED_AT);
        Long notBefore = EventHeaders.number(deferred.headers(), EventHeaders.NOT_BEFORE);
        String id = String.valueOf(EventHeaders.text(deferred.headers(), EventHeaders.JOB_ID));
        if (place == null || !JobId.isValid(id) || createdAt == null || notBefore == null || !isPlausible(deferred)) {
            return Optional.empty();
        }
        RecordHeaders headers = new RecordHeaders();
        for (Header header : deferred.headers()) {
            if (!header.key().startsWith(PREFIX) && !header.key().equals(EventHeaders.JOB_ID)) {
                headers.add(header);
            }
        }
        Header ownId = deferred.headers().lastHeader(PREFIX + EventHeaders.JOB_ID);
        if (ownId != null) {
            headers.add(EventHeaders.JOB_ID, ownId.value());
        }
        Header key = deferred.headers().lastHeader(KEY);
        Header command = deferred.headers().lastHeader(WISH);
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>(
                place.topic(),
                place.partition(),
                place.offset(),
                createdAt,
                TimestampType.LOG_APPEND_TIME,
                deferred.serializedKeySize(),
                deferred.serializedValueSize(),
                key == null ? null : key.value(),
                deferred.value(),
                headers,
                Optional.empty());
        Long since = EventHeaders.number(deferred.headers(), DEFERRED_SINCE);
        Long handedBack = EventHeaders.number(deferred.headers(), EventHeaders.HANDED_BACK);
        Long failures = EventHeaders.number(deferred.headers(), FAILURES);
        Long brokenRuns = EventHeaders.number(deferred.headers(), BROKEN_RUNS);
        return Optional.of(new OriginRecord(
                record,
                placeOf(deferred),
                new JobId(id),
                Instant.ofEpochMilli(notBefore),
                since == null ? null : Instant.ofEpochMilli(since),
                topicDefaults(deferred.headers()).orElse(null),
                handedBack == null ? 0 : handedBack.intValue(),
                failures == null ? 0 : failures.intValue(),
                brokenRuns == null ? 0 : brokenRuns.intValue(),
                Waiting.Code.of(String.valueOf(EventHeaders.text(deferred.headers(), EventHeaders.WAITS_FOR)))
                        .orElse(null),
                command == null ? null : RouteKey.ofJson(command.value()).orElse(null)));
    }

    /** Returns whether Penstock can have written the values of those headers that are present. */
    private static boolean isPlausible(ConsumerRecord<byte[], byte[]> deferred) {
        Headers headers = deferred.headers();
        String origin = String.valueOf(EventHeaders.text(headers, EventHeaders.ORIGIN));
        String tenant = EventHeaders.text(headers, TENANT);
        return origin.matches("[a-zA-Z0-9._-]{1,249}/.*")
                && isWithin(headers, CREATED_AT, -1, LATEST)
                && isWithin(headers, DEFERRED_SINCE, -1, LATEST)
                && isWithin(headers, EventHeaders.NOT_BEFORE, -1, Math.min(LATEST, deferred.timestamp() + FURTHEST))
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
     * Returns a deferred record for this origin.
     *
     * @param topic the topic of deferred jobs
     * @param partitions the partitions of that topic
     * @param from the settings of the topic on which the job arrived; empty if this replica lacks the topic
     */
    ProducerRecord<byte[], byte[]> toDeferred(
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
                // keep the producer's header job-id under another name: the job's id may be different, because it
                // also depends on the value
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
                .add(DEFERRED_SINCE, utf8((deferredAt == null ? now : deferredAt).toEpochMilli()));
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
        // write the count of broken runs only if no run has made an attempt since the last deferral; otherwise the
        // count begins again
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

    /** Returns the same origin with the value of the record, which the poll had left out. */
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
                whole, deferred, id, notBefore, deferredAt, topic, handedBack, failures, brokenRuns, why, routeKey);
    }

    public OriginRecord withBrokenRuns(int runs) {
        return runs == brokenRuns
                ? this
                : new OriginRecord(
                        record, deferred, id, notBefore, deferredAt, topic, handedBack, failures, runs, why, routeKey);
    }

    /** Returns the place of the record in which the job arrived. */
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
