package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Reading;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.EventDocument;
import dev.penstock.wire.EventHeaders;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * One reader's view of one job's events: only valid ones, in order, each once, until the outcome. Filled by the live
 * reader, and before that by a scan of what is older; read by the thread of the watcher. Holds a number of bytes and one event at
 * most: a watcher that does not read loses its place, and resumes.
 */
public final class Watch implements AutoCloseable {
    private static final int MOST_REFUSALS = 16;
    /** An event that is being sent is there as bytes and as text. */
    private static final int SENT_TIMES = 2;

    private final JobId id;
    private final byte[] key;
    private final int partition;
    private final Consumer<Watch> onClose;
    private final WatchRoom room;
    private final int maxBytes;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    /* Guarded by the lock. */
    private final Deque<Next.Event> events = new ArrayDeque<>();
    private final List<ConsumerRecord<byte[], byte[]>> early = new ArrayList<>();
    private Reading reading;
    private long nextOffset;
    private boolean catchingUp = true;
    private int bytes;
    private int earlyBytes;
    private long sendingBytes;
    private long charged;
    private volatile long lastRead;
    private Runnable onDrop = () -> {};
    /** What is older was left off, since nobody read. */
    private boolean full;

    private @Nullable Runnable whenThereIsRoom;
    private @Nullable Next last;
    private boolean chunks = true;
    /** Whose refusal ends the watch, once all of them are refused; null: of any record, while the job has no event. */
    private @Nullable Set<RecordPlace> records = Set.of();
    /** Refusals that came before it was known whether they are of the own record. */
    private final List<Known> undecided = new ArrayList<>();

    private boolean ownIsComing;
    private @Nullable Known lastRefusal;

    /** @param onClose tells the live reader that nobody watches any more */
    Watch(JobId id, int partition, ResumePoint from, Consumer<Watch> onClose) {
        this(id, partition, from, onClose, WatchRoom.unshared());
    }

    /** @param room what this watch has in common with all others */
    Watch(JobId id, int partition, ResumePoint from, Consumer<Watch> onClose, WatchRoom room) {
        this.room = room;
        maxBytes = room.each();
        lastRead = room.now();
        this.id = id;
        this.partition = partition;
        this.onClose = onClose;
        key = EventHeaders.utf8(id.value());
        reading = from.reading();
        nextOffset = from.nextOffset();
    }

    /** What a watcher gets. */
    public sealed interface Next {
        /**
         * @param resume where to go on after it
         * @param millis the time of its record
         */
        record Event(ResumePoint resume, EventMark mark, Bytes value, long millis) implements Next {
            /** Where it lies. */
            public long offset() {
                return resume.nextOffset() - 1;
            }
        }

        /** Nothing came in time. */
        record Nothing() implements Next {}

        /** The outcome has been read. */
        record Ended() implements Next {}

        /** The watcher did not read: it has to resume. */
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

    /** Waits for the next event. After {@link Next.Ended}, {@link Next.TooSlow} or {@link Next.Failed} nothing comes. */
    public Next next(Duration atMost) throws InterruptedException {
        Next next;
        Runnable goOn;
        lock.lockInterruptibly();
        try {
            long left = atMost.toNanos();
            while (events.isEmpty() && last == null && left > 0) {
                left = arrived.awaitNanos(left);
            }
            Next.Event event = events.poll();
            bytes -= event == null ? 0 : event.value().get().length;
            sendingBytes = event == null ? 0 : (long) SENT_TIMES * event.value().get().length;
            lastRead = room.now();
            charge();
            next = event != null ? event : last == null ? new Next.Nothing() : last;
            goOn = hasRoom() ? whenThereIsRoom : null;
            whenThereIsRoom = goOn == null ? whenThereIsRoom : null;
        } finally {
            lock.unlock();
        }
        if (goOn != null) {
            goOn.run();
        }
        return next;
    }

    /** Half of a half: a read of what is older is worth its while. */
    private boolean hasRoom() {
        return bytes <= maxBytes / 4;
    }

    /** Tells what is held, with the lock. */
    private void charge() {
        long now = bytes + earlyBytes + sendingBytes;
        if (charged == 0 && now > 0 && sendingBytes == 0) {
            // it had nothing to read until now
            lastRead = room.now();
        }
        room.changed(this, charged, now);
        charged = now;
    }

    /** When something of it was read last, by the clock of its room. */
    long lastRead() {
        return lastRead;
    }

    /** @param then closes the connection: what is on its way there is given up too */
    public void whenDropped(Runnable then) {
        lock.lock();
        try {
            onDrop = then;
        } finally {
            lock.unlock();
        }
    }

    /** It loses its place to others: nothing of it is held any more. */
    void drop() {
        Runnable then;
        lock.lock();
        try {
            events.clear();
            early.clear();
            bytes = 0;
            earlyBytes = 0;
            sendingBytes = 0;
            whenThereIsRoom = null;
            last = new Next.TooSlow();
            arrived.signalAll();
            charge();
            then = onDrop;
        } finally {
            lock.unlock();
        }
        then.run();
    }

    /** From the live reader, in order. While older events are still being read these wait. */
    void live(ConsumerRecord<byte[], byte[]> record) {
        lock.lock();
        try {
            if (!catchingUp) {
                apply(record);
            } else if (!chunks && isChunk(record)) {
                // it changes nothing of what comes after it
            } else if (earlyBytes > maxBytes / 2) {
                end(new Next.TooSlow());
            } else {
                earlyBytes += size(record);
                early.add(record);
            }
            charge();
        } finally {
            lock.unlock();
        }
        room.bound();
    }

    /**
     * From a scan of what is older, in order. Never waits for the watcher: others wait for the scan.
     *
     * @return false: it was not taken, for want of room or because the watch has ended; nothing further is
     */
    boolean older(ConsumerRecord<byte[], byte[]> record) {
        lock.lock();
        try {
            full = last == null && bytes > maxBytes / 2;
            if (full || last != null) {
                return false;
            }
            apply(record);
            charge();
        } finally {
            lock.unlock();
        }
        room.bound();
        return true;
    }

    /**
     * After a scan that ended before all that is older was taken.
     *
     * @param scan run once, when the watcher has read
     * @return false: it was taken
     */
    boolean goOnWhenThereIsRoom(Runnable scan) {
        lock.lock();
        try {
            if (!full) {
                return false;
            }
            full = false;
            if (!hasRoom()) {
                whenThereIsRoom = scan;
                return true;
            }
        } finally {
            lock.unlock();
        }
        scan.run();
        return true;
    }

    /** An outcome that is known from elsewhere, and that the topic may have forgotten. */
    public record Known(EventMark mark, Bytes value, long offset, long millis) {}

    /** Whether an outcome at this place was not read, or is a refusal, of which that does not say. */
    boolean mayNeed(long offset) {
        lock.lock();
        try {
            return last == null && (offset >= nextOffset || reading.attempt() < 0);
        } finally {
            lock.unlock();
        }
    }

    /**
     * All that is older has been read: from here on the live reader's records count, by offset.
     *
     * @param outcome it stands for itself where the topic does not have it any more
     */
    void caughtUp(@Nullable Known outcome) {
        lock.lock();
        try {
            boolean refusal = outcome != null && outcome.mark().kind() == EventMark.Kind.REJECTED;
            if (outcome != null && !refusal && last == null && outcome.offset() >= nextOffset) {
                apply(outcome);
            }
            early.forEach(this::apply);
            early.clear();
            earlyBytes = 0;
            catchingUp = false;
            endWithRefusal(refusal ? outcome : lastRefusal);
            charge();
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
            refused(event);
            return;
        }
        if (reading.judge(mark) == Reading.Verdict.VOID) {
            return;
        }
        reading = reading.after(mark);
        if (!chunks && mark.kind() == EventMark.Kind.CHUNK) {
            return;
        }
        // measured before it: one event may be as large as a record, and is no fault of who reads
        if (bytes > maxBytes) {
            end(new Next.TooSlow());
            return;
        }
        bytes += event.value().get().length;
        events.add(new Next.Event(new ResumePoint(nextOffset, reading), mark, event.value(), event.millis()));
        if (reading.isClosed()) {
            end(new Next.Ended());
        }
        arrived.signalAll();
    }

    /** From here on chunks are passed over: for who waits for the outcome alone, however long the answer is. */
    public void passOverChunks() {
        lock.lock();
        try {
            chunks = false;
            events.removeIf(event -> event.mark().kind() == EventMark.Kind.CHUNK);
            bytes = events.stream()
                    .mapToInt(event -> event.value().get().length)
                    .sum();
            charge();
        } finally {
            lock.unlock();
        }
    }

    /** Before the record of this watch's own is written. */
    public void expectOwnRecord() {
        lock.lock();
        try {
            ownIsComing = true;
        } finally {
            lock.unlock();
        }
    }

    /** The record that this watch was opened with: where it is refused, that is the end. */
    public void ownRecord(RecordPlace place) {
        lock.lock();
        try {
            ownIsComing = false;
            records = Set.of(place);
            undecided.forEach(this::refused);
            undecided.clear();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Before anything is read.
     *
     * @param known where all of these are refused the watch ends; null: none is known, and it ends with any refusal while the
     *     job has no event
     */
    void endsWithRefusalOf(@Nullable Set<RecordPlace> known) {
        lock.lock();
        try {
            records = known == null ? null : Set.copyOf(known);
        } finally {
            lock.unlock();
        }
    }

    private void refused(Known event) {
        Set<RecordPlace> open = records;
        if (ownIsComing) {
            if (undecided.size() < MOST_REFUSALS) {
                undecided.add(event);
            }
        } else if (open == null) {
            boolean another = EventDocument.failure(event.value().get())
                    .filter(failure -> failure.code() == JobFailure.Code.ID_CONFLICT)
                    .isPresent();
            lastRefusal = another ? lastRefusal : event;
            endWithRefusal(catchingUp ? null : lastRefusal);
        } else {
            Set<RecordPlace> left = new HashSet<>(open);
            boolean ofOurs =
                    left.remove(EventDocument.rejectedPlace(event.value().get()));
            records = Set.copyOf(left);
            endWithRefusal(ofOurs && left.isEmpty() ? event : null);
        }
    }

    /** An event of the job means that another record of it is none that was refused. */
    private void endWithRefusal(@Nullable Known refusal) {
        if (refusal != null && last == null && reading.attempt() < 0) {
            ResumePoint resume = new ResumePoint(refusal.offset() + 1, reading);
            events.add(new Next.Event(resume, refusal.mark(), refusal.value(), refusal.millis()));
            bytes += refusal.value().get().length;
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

    private static int size(ConsumerRecord<byte[], byte[]> record) {
        return record.value() == null ? 0 : record.value().length;
    }

    @Override
    public void close() {
        fail(JobFailure.of(JobFailure.Code.INTERNAL, "the watch was closed"));
        lock.lock();
        try {
            events.clear();
            early.clear();
            bytes = 0;
            earlyBytes = 0;
            sendingBytes = 0;
            charge();
        } finally {
            lock.unlock();
        }
        onClose.accept(this);
    }
}
