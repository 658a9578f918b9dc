package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.record.EventHeaders;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Bytes;
import org.junit.jupiter.api.Test;

class WatchTest {
    private static final JobId ID = new JobId("j");

    @Test
    void an_outcome_that_slips_between_look_up_and_attach_is_seen_once() throws InterruptedException {
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        List<ConsumerRecord<byte[], byte[]>> log = log();

        // it comes both in the scan and live
        watch.live(log.get(3));
        log.forEach(watch::older);
        watch.caughtUp(null);

        assertThat(offsets(watch)).containsExactly(10L, 11L, 12L, 13L);
    }

    /** The live end may begin anywhere, and the scan of older events may read any distance beyond it. */
    @Test
    void older_and_live_events_join_without_a_gap_and_without_a_repeat() throws InterruptedException {
        for (int seed = 0; seed < 500; seed++) {
            Random random = new Random(seed);
            List<ConsumerRecord<byte[], byte[]>> log = log();
            int liveFrom = random.nextInt(log.size() + 1);
            int scanTo = liveFrom + random.nextInt(log.size() - liveFrom + 1);
            Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});

            int live = liveFrom;
            int older = 0;
            while (older < scanTo) {
                if (random.nextBoolean() && live < log.size()) {
                    watch.live(log.get(live++));
                } else {
                    watch.older(log.get(older++));
                }
            }
            watch.caughtUp(null);
            log.subList(live, log.size()).forEach(watch::live);

            assertThat(offsets(watch)).as("seed %d", seed).containsExactly(10L, 11L, 12L, 13L);
        }
    }

    @Test
    void a_resumed_watch_goes_on_behind_the_event() throws InterruptedException {
        List<ConsumerRecord<byte[], byte[]>> log = log();
        Watch first = new Watch(ID, 0, ResumePoint.START, _ -> {});
        log.forEach(first::older);
        first.caughtUp(null);
        Watch.Next.Event started = (Watch.Next.Event) first.next(Duration.ZERO);
        ResumePoint sent = ResumePoint.parse(started.resume().toString()).orElseThrow();

        Watch second = new Watch(ID, 0, sent, _ -> {});
        log.forEach(second::older);
        second.caughtUp(null);

        assertThat(offsets(second)).containsExactly(11L, 12L, 13L);
    }

    @Test
    void void_events_are_not_shown() throws InterruptedException {
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        watch.older(record(10, EventMark.Kind.STARTED, 1, "a", 0));
        watch.older(record(11, EventMark.Kind.STARTED, 2, "b", 0));
        watch.older(record(12, EventMark.Kind.COMPLETED, 1, "a", 1));
        watch.older(record(13, EventMark.Kind.COMPLETED, 2, "b", 1));
        watch.caughtUp(null);

        assertThat(offsets(watch)).containsExactly(10L, 11L, 13L);
    }

    @Test
    void an_outcome_of_any_size_arrives_and_a_watcher_that_does_not_read_loses_its_place() throws InterruptedException {
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        watch.older(record(10, EventMark.Kind.STARTED, 1, "a", 0));
        watch.older(record(11, EventMark.Kind.COMPLETED, 1, "a", 1, 3_000_000));
        watch.caughtUp(null);
        assertThat(offsets(watch)).containsExactly(10L, 11L);

        Watch slow = new Watch(ID, 0, ResumePoint.START, _ -> {});
        slow.caughtUp(null);
        slow.live(record(10, EventMark.Kind.STARTED, 1, "a", 0));
        for (int i = 1; i <= 4; i++) {
            slow.live(record(10 + i, EventMark.Kind.CHUNK, 1, "a", i, 200_000));
        }
        assertThat(slow.next(Duration.ZERO)).isInstanceOf(Watch.Next.Event.class);
        assertThat(slow.next(Duration.ZERO)).isInstanceOf(Watch.Next.Event.class);
        assertThat(slow.next(Duration.ZERO)).isInstanceOf(Watch.Next.Event.class);
        assertThat(slow.next(Duration.ZERO)).isInstanceOf(Watch.Next.TooSlow.class);
    }

    /** A scan serves several watchers. It never waits for one of them, and continues where it stopped. */
    @Test
    void older_events_come_as_the_watcher_reads() throws InterruptedException {
        List<ConsumerRecord<byte[], byte[]>> log = new ArrayList<>();
        log.add(record(10, EventMark.Kind.STARTED, 1, "a", 0));
        for (int i = 1; i <= 40; i++) {
            log.add(record(10 + i, EventMark.Kind.CHUNK, 1, "a", i, 50_000));
        }
        log.add(record(51, EventMark.Kind.COMPLETED, 1, "a", 41, 2_000_000));
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        int[] scans = {0};
        int[] most = {0};
        Runnable[] scan = {() -> {}};
        int[] from = {0};
        scan[0] = () -> {
            scans[0]++;
            int before = from[0];
            while (from[0] < log.size() && watch.older(log.get(from[0]))) {
                from[0]++;
            }
            most[0] = Math.max(most[0], from[0] - before);
            if (!watch.goOnWhenThereIsRoom(scan[0])) {
                watch.caughtUp(null);
            }
        };
        scan[0].run();

        // larger than the limit for waiting events, but older events must not wait for it
        watch.live(log.getLast());

        assertThat(from[0]).as("nobody has read").isLessThan(5);
        assertThat(offsets(watch))
                .isEqualTo(log.stream().map(ConsumerRecord::offset).toList());
        assertThat(scans[0]).isGreaterThan(10);
        assertThat(most[0]).as("at once").isLessThan(5);
    }

    @Test
    void who_waits_for_the_outcome_alone_is_never_too_slow() throws InterruptedException {
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        watch.caughtUp(null);
        watch.live(record(10, EventMark.Kind.STARTED, 1, "a", 0));
        watch.live(record(11, EventMark.Kind.CHUNK, 1, "a", 1, 200_000));
        watch.passOverChunks();
        for (int i = 2; i <= 9; i++) {
            watch.live(record(10 + i, EventMark.Kind.CHUNK, 1, "a", i, 200_000));
        }
        watch.live(record(20, EventMark.Kind.COMPLETED, 1, "a", 10, 200_000));

        assertThat(offsets(watch)).containsExactly(10L, 20L);
    }

    @Test
    void the_refusal_of_all_known_records_ends_the_watch() throws InterruptedException {
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        watch.endsWithRefusalOf(Set.of(place(1), place(2)));
        watch.older(refusal(10, 7, "invalid_request"));
        watch.older(refusal(11, 1, "invalid_request"));
        watch.caughtUp(null);
        assertThat(watch.next(Duration.ZERO)).as("another record stands").isInstanceOf(Watch.Next.Nothing.class);

        watch.live(refusal(12, 2, "invalid_request"));

        assertThat(offsets(watch)).containsExactly(12L);
    }

    @Test
    void refusals_are_ignored_where_a_job_is_there() throws InterruptedException {
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        watch.endsWithRefusalOf(Set.of(place(1)));
        watch.older(record(10, EventMark.Kind.STARTED, 1, "a", 0));
        watch.older(refusal(11, 7, "invalid_request"));
        watch.caughtUp(null);
        watch.live(record(12, EventMark.Kind.COMPLETED, 1, "a", 1));

        assertThat(offsets(watch)).containsExactly(10L, 12L);
    }

    @Test
    void a_refusal_that_is_known_ends_the_watch_unless_a_job_came_after_it() throws InterruptedException {
        Watch refused = new Watch(ID, 0, ResumePoint.START, _ -> {});
        refused.endsWithRefusalOf(Set.of());
        refused.older(refusal(10, 7, "invalid_request"));
        refused.caughtUp(known(10));
        assertThat(offsets(refused)).containsExactly(10L);

        Watch mended = new Watch(ID, 0, ResumePoint.START, _ -> {});
        mended.endsWithRefusalOf(Set.of());
        mended.older(refusal(10, 7, "invalid_request"));
        mended.live(record(11, EventMark.Kind.STARTED, 1, "a", 0));
        mended.caughtUp(known(10));
        mended.live(record(12, EventMark.Kind.COMPLETED, 1, "a", 1));
        assertThat(offsets(mended)).containsExactly(11L, 12L);
    }

    @Test
    void where_no_record_is_known_a_refusal_ends_the_watch_of_a_job_without_events() throws InterruptedException {
        Watch refused = new Watch(ID, 0, ResumePoint.START, _ -> {});
        refused.endsWithRefusalOf(null);
        refused.older(refusal(10, 7, "invalid_request"));
        refused.caughtUp(null);
        assertThat(offsets(refused)).containsExactly(10L);

        Watch mended = new Watch(ID, 0, ResumePoint.START, _ -> {});
        mended.endsWithRefusalOf(null);
        mended.older(refusal(10, 7, "invalid_request"));
        mended.older(record(11, EventMark.Kind.STARTED, 1, "a", 0));
        mended.caughtUp(null);
        mended.live(refusal(12, 8, "invalid_request"));
        mended.live(record(13, EventMark.Kind.COMPLETED, 1, "a", 1));
        assertThat(offsets(mended)).containsExactly(11L, 13L);

        Watch another = new Watch(ID, 0, ResumePoint.START, _ -> {});
        another.endsWithRefusalOf(null);
        another.caughtUp(null);
        another.live(refusal(10, 7, "id_conflict"));
        assertThat(another.next(Duration.ZERO)).as("another body").isInstanceOf(Watch.Next.Nothing.class);
    }

    @Test
    void a_watch_with_a_record_of_its_own_ends_with_that_refusal_alone() throws InterruptedException {
        Watch watch = new Watch(ID, 0, ResumePoint.START, _ -> {});
        watch.caughtUp(null);
        watch.expectOwnRecord();
        watch.live(refusal(10, 7, "invalid_request"));
        watch.live(refusal(11, 1, "invalid_request"));
        watch.ownRecord(place(1));

        assertThat(offsets(watch)).containsExactly(11L);
    }

    private static RecordPlace place(long offset) {
        return new RecordPlace("prompt-jobs", 0, offset);
    }

    private static Watch.Known known(long offset) {
        ConsumerRecord<byte[], byte[]> event = refusal(offset, 7, "invalid_request");
        return new Watch.Known(new EventMark(EventMark.Kind.REJECTED, 0, "r", 0), Bytes.wrap(event.value()), offset, 0);
    }

    private static ConsumerRecord<byte[], byte[]> refusal(long offset, long record, String code) {
        String event =
                "{\"job\":{\"record\":{\"topic\":\"prompt-jobs\",\"partition\":0,\"offset\":%d}},\"error\":{\"code\":\"%s\"}}"
                        .formatted(record, code);
        return record(offset, EventMark.Kind.REJECTED, 0, "r", 0, event);
    }

    private static List<ConsumerRecord<byte[], byte[]>> log() {
        return List.of(
                record(10, EventMark.Kind.STARTED, 1, "a", 0),
                record(11, EventMark.Kind.CHUNK, 1, "a", 1),
                record(12, EventMark.Kind.CHUNK, 1, "a", 2),
                record(13, EventMark.Kind.COMPLETED, 1, "a", 3));
    }

    private static ConsumerRecord<byte[], byte[]> record(
            long offset, EventMark.Kind kind, int attempt, String run, long seq) {
        return record(offset, kind, attempt, run, seq, 2);
    }

    private static ConsumerRecord<byte[], byte[]> record(
            long offset, EventMark.Kind kind, int attempt, String run, long seq, int size) {
        return record(offset, kind, attempt, run, seq, "{" + " ".repeat(size - 2) + "}");
    }

    private static ConsumerRecord<byte[], byte[]> record(
            long offset, EventMark.Kind kind, int attempt, String run, long seq, String value) {
        byte[] key = EventHeaders.utf8(ID.value());
        return new ConsumerRecord<>(
                "prompt-replies",
                0,
                offset,
                0,
                TimestampType.CREATE_TIME,
                key.length,
                value.length(),
                key,
                EventHeaders.utf8(value),
                EventHeaders.of(key, new EventMark(kind, attempt, run, seq), null),
                Optional.empty());
    }

    /** Returns the offsets of the events, up to the end. */
    private static List<Long> offsets(Watch watch) throws InterruptedException {
        List<Long> offsets = new ArrayList<>();
        while (watch.next(Duration.ZERO) instanceof Watch.Next.Event event) {
            offsets.add(event.resume().nextOffset() - 1);
        }
        assertThat(watch.next(Duration.ZERO)).isInstanceOf(Watch.Next.Ended.class);
        return offsets;
    }
}
