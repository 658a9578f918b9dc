package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Reading;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.record.EventHeaders;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * One reader's view of one job's events. It contains the job's valid events up to the outcome, in order and each
 * once. A scan fills it with older events, and the live reader with new ones. The watcher's thread reads it. The
 * bytes of its unread events are limited; only one event may go beyond this limit. A watcher that does not read is
 * dropped, and can resume.
 */
public final class Watch implements AutoCloseable {
    private final JobId id;
    private final byte[] key;
    private final int partition;
    private final Consumer<Watch> onClose;
    private final WatchRoom room;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    /* Guarded by the lock. */
    private final WatchBuffer buffer;
    private final Refusals refusals = new Refusals();
    private Reading reading;
    private long nextOffset;
    private boolean catchingUp = true;
    private Runnable onDrop = () -> {};
    /** Whether the watch did not take an older record, because it already held too many unread events. */
    private boolean full;

    private @Nullable Runnable whenThereIsRoom;
    private @Nullable Next last;
    private boolean chunks = true;

    /** @param onClose detaches the watch from the live reader */
    Watch(JobId id, int partition, ResumePoint from, Consumer<Watch> onClose) {
        this(id, partition, from, onClose, WatchRoom.unshared());
    }

    /** @param room the memory that this watch shares with all others */
    Watch(JobId id, int partition, ResumePoint from, Consumer<Watch> onClose, WatchRoom room) {
        this.room = room;
        this.id = id;
        this.partition = partition;
        this.onClose = onClose;
        key = EventHeaders.utf8(id.value());
        reading = from.reading();
        nextOffset = from.nextOffset();
        buffer = new WatchBuffer(this, room);
    }

    /** What a watcher gets. */
    public sealed interface Next {
        /**
         * @param resume the point at which a reader continues after this event
         * @param millis the timestamp of the event's record
         */
        record Event(ResumePoint resume, EventMark mark, Bytes value, long millis) implements Next {
            /** Returns the offset of the event's record. */
            public long offset() {
                return resume.nextOffset() - 1;
            }
        }

        /** No event came in time. */
        record Nothing() implements Next {}

        /** The watcher has read the outcome. */
        record Ended() implements Next {}

        /** The watcher did not read in time, and must resume. */
        record TooSlow() implements Next {}

        record Failed(JobFailure failure) implements Next {}
    }

    public JobId id() {
        return id;
    }

    byte[] key() {
        return key;
    }

    int partition() {
        return partition;
    }

    /** Waits for the next event. {@link Next.Ended}, {@link Next.TooSlow} and {@link Next.Failed} are final. */
    public Next next(Duration atMost) throws InterruptedException {
        Next next;
        Runnable goOn;
        lock.lockInterruptibly();
        try {
            long left = atMost.toNanos();
            while (buffer.isEmpty() && last == null && left > 0) {
                left = arrived.awaitNanos(left);
            }
            Next.Event event = buffer.next();
            next = event != null ? event : last == null ? new Next.Nothing() : last;
            goOn = buffer.hasRoom() ? whenThereIsRoom : null;
            whenThereIsRoom = goOn == null ? whenThereIsRoom : null;
        } finally {
            lock.unlock();
        }
        if (goOn != null) {
            goOn.run();
        }
        return next;
    }

    /** Returns when the watcher last read, by the clock of its room. */
    long lastRead() {
        return buffer.lastRead();
    }

    /** @param then closes the connection to the watcher, and so frees the bytes that are being sent */
    public void whenDropped(Runnable then) {
        lock.lock();
        try {
            onDrop = then;
        } finally {
            lock.unlock();
        }
    }

    /** Drops the watch, so that other watches have more memory. Afterwards the watch holds no events. */
    void drop() {
        Runnable then;
        lock.lock();
        try {
            buffer.clear();
            whenThereIsRoom = null;
            last = new Next.TooSlow();
            arrived.signalAll();
            buffer.charge();
            then = onDrop;
        } finally {
            lock.unlock();
        }
        then.run();
    }

    /** Adds the next record from the live reader. The record waits as long as a scan reads older events. */
    void live(ConsumerRecord<byte[], byte[]> record) {
        lock.lock();
        try {
            if (!catchingUp) {
                apply(record);
            } else if (!chunks && isChunk(record)) {
                // skip it: a chunk that the watcher does not want has no effect on later events
            } else if (!buffer.addEarly(record)) {
                end(new Next.TooSlow());
            }
            buffer.charge();
        } finally {
            lock.unlock();
        }
        room.bound();
    }

    /**
     * Adds a record from a scan of older events, in order. It does not block if the watcher is slow, because other
     * watchers wait for the same scan.
     *
     * @return false if the watch did not take the record, because it has no room or has ended; then the scan offers
     *     it no further record
     */
    boolean older(ConsumerRecord<byte[], byte[]> record) {
        lock.lock();
        try {
            full = last == null && buffer.isHalfFull();
            if (full || last != null) {
                return false;
            }
            apply(record);
            buffer.charge();
        } finally {
            lock.unlock();
        }
        room.bound();
        return true;
    }

    /**
     * Continues with a further scan if the last scan ended before the watch took all older records.
     *
     * @param scan the further scan; it runs once, when the watch has room
     * @return false if the watch took all older records, so that no further scan is needed
     */
    boolean goOnWhenThereIsRoom(Runnable scan) {
        lock.lock();
        try {
            if (!full) {
                return false;
            }
            full = false;
            if (!buffer.hasRoom()) {
                whenThereIsRoom = scan;
                return true;
            }
        } finally {
            lock.unlock();
        }
        scan.run();
        return true;
    }

    /** An outcome that does not come from the reply topic, because the topic may have dropped it. */
    public record Known(EventMark mark, Bytes value, long offset, long millis) {}

    /**
     * Returns whether the watch may need the outcome at this offset: either the watch has not read it yet, or no
     * attempt has begun, so the outcome may be a refusal.
     */
    boolean mayNeed(long offset) {
        lock.lock();
        try {
            return last == null && (offset >= nextOffset || reading.attempt() < 0);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Notes that all older records were read. From now on, the watch takes the live reader's records, except for
     * those with offsets that it has already read.
     *
     * @param outcome the outcome, which the watch uses if the topic has dropped it; null if the watch needs none
     */
    void caughtUp(@Nullable Known outcome) {
        lock.lock();
        try {
            boolean refusal = outcome != null && outcome.mark().kind() == EventMark.Kind.REJECTED;
            if (outcome != null && !refusal && last == null && outcome.offset() >= nextOffset) {
                apply(outcome);
            }
            buffer.takeEarly().forEach(this::apply);
            catchingUp = false;
            endWithRefusal(refusal ? outcome : refusals.last());
            buffer.charge();
        } finally {
            lock.unlock();
        }
        room.bound();
    }

    void fail(JobFailure failure) {
        lock.lock();
        try {
            end(new Next.Failed(failure));
        } finally {
            lock.unlock();
        }
    }

    private void apply(ConsumerRecord<byte[], byte[]> record) {
        EventMark mark = EventHeaders.mark(record.headers()).orElse(null);
        if (mark != null && record.value() != null) {
            apply(new Known(mark, Bytes.wrap(record.value()), record.offset(), record.timestamp()));
        }
    }

    private void apply(Known event) {
        if (event.offset() < nextOffset || last != null) {
            return;
        }
        nextOffset = event.offset() + 1;
        EventMark mark = event.mark();
        if (mark.kind() == EventMark.Kind.REJECTED) {
            endWithRefusal(refusals.add(event, catchingUp));
            return;
        }
        if (reading.judge(mark) == Reading.Verdict.VOID) {
            return;
        }
        reading = reading.after(mark);
        if (!chunks && mark.kind() == EventMark.Kind.CHUNK) {
            return;
        }
        // check this before the event is added: a single event may be as large as a record, and this is no fault of
        // the watcher
        if (buffer.isFull()) {
            end(new Next.TooSlow());
            return;
        }
        buffer.add(new Next.Event(new ResumePoint(nextOffset, reading), mark, event.value(), event.millis()));
        if (reading.isClosed()) {
            end(new Next.Ended());
        }
        arrived.signalAll();
    }

    /**
     * Skips chunks from now on. This is for a watcher that waits only for the outcome, so that a long answer does not
     * fill the watch.
     */
    public void passOverChunks() {
        lock.lock();
        try {
            chunks = false;
            buffer.dropChunks();
        } finally {
            lock.unlock();
        }
    }

    /** Called before the watch's own record is written. */
    public void expectOwnRecord() {
        lock.lock();
        try {
            refusals.expectOwn();
        } finally {
            lock.unlock();
        }
    }

    /** Sets the watch's own record: the watcher has written it. The refusal of this record ends the watch. */
    public void ownRecord(RecordPlace place) {
        lock.lock();
        try {
            endWithRefusal(refusals.own(place));
        } finally {
            lock.unlock();
        }
    }

    /**
     * Sets the records whose refusals end the watch. Called before the watch gets its first event.
     *
     * @param known the known records of the job: if all of them are refused, the watch ends. Null: no record is
     *     known, and any refusal ends the watch as long as the job has no event
     */
    void endsWithRefusalOf(@Nullable Set<RecordPlace> known) {
        lock.lock();
        try {
            refusals.endWith(known);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Ends the watch with a refusal. It does nothing if the job has an event, because then another record of the job
     * was not refused.
     */
    private void endWithRefusal(@Nullable Known refusal) {
        if (refusal != null && last == null && reading.attempt() < 0) {
            ResumePoint resume = new ResumePoint(refusal.offset() + 1, reading);
            buffer.add(new Next.Event(resume, refusal.mark(), refusal.value(), refusal.millis()));
            end(new Next.Ended());
        }
    }

    private void end(Next why) {
        if (last == null) {
            last = why;
        }
        arrived.signalAll();
    }

    private static boolean isChunk(ConsumerRecord<byte[], byte[]> record) {
        return EventHeaders.mark(record.headers())
                .filter(mark -> mark.kind() == EventMark.Kind.CHUNK)
                .isPresent();
    }

    @Override
    public void close() {
        fail(JobFailure.of(JobFailure.Code.INTERNAL, "the watch was closed"));
        lock.lock();
        try {
            buffer.clear();
            buffer.charge();
        } finally {
            lock.unlock();
        }
        onClose.accept(this);
    }
}
