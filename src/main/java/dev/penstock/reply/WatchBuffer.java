package dev.penstock.reply;

import dev.penstock.job.EventMark;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * Holds the events of a watch until the watcher reads them, and counts their bytes. The room sums up the bytes of all
 * watches. The watch's lock guards the buffer.
 */
final class WatchBuffer {
    /** While an event is being sent, it is in memory both as bytes and as text. */
    private static final int SENT_TIMES = 2;

    private final Watch watch;
    private final WatchRoom room;
    private final int maxBytes;
    private final Deque<Watch.Next.Event> events = new ArrayDeque<>();
    /** Records of the live reader that wait until the older records are read. */
    private final List<ConsumerRecord<byte[], byte[]>> early = new ArrayList<>();

    private int bytes;
    private int earlyBytes;
    private long sendingBytes;
    private long charged;
    private volatile long lastRead;

    WatchBuffer(Watch watch, WatchRoom room) {
        this.watch = watch;
        this.room = room;
        maxBytes = room.each();
        lastRead = room.now();
    }

    boolean isEmpty() {
        return events.isEmpty();
    }

    /**
     * Returns whether at least three quarters of the limit are free, so that a further scan of older events is worth
     * its cost.
     */
    boolean hasRoom() {
        return bytes <= maxBytes / 4;
    }

    /** Returns whether the buffer is too full for further older events. */
    boolean isHalfFull() {
        return bytes > maxBytes / 2;
    }

    boolean isFull() {
        return bytes > maxBytes;
    }

    /** Returns when the watcher last read, by the clock of the room. Any thread may call this method. */
    long lastRead() {
        return lastRead;
    }

    void add(Watch.Next.Event event) {
        bytes += length(event);
        events.add(event);
    }

    /** Returns the watcher's next event. The event's bytes count until the watcher asks for the next one. */
    Watch.Next.@Nullable Event next() {
        Watch.Next.Event event = events.poll();
        bytes -= event == null ? 0 : length(event);
        sendingBytes = event == null ? 0 : (long) SENT_TIMES * length(event);
        lastRead = room.now();
        charge();
        return event;
    }

    /** @return false if there is no room for it */
    boolean addEarly(ConsumerRecord<byte[], byte[]> record) {
        if (earlyBytes > maxBytes / 2) {
            return false;
        }
        earlyBytes += record.value() == null ? 0 : record.value().length;
        early.add(record);
        return true;
    }

    List<ConsumerRecord<byte[], byte[]>> takeEarly() {
        List<ConsumerRecord<byte[], byte[]>> taken = List.copyOf(early);
        early.clear();
        earlyBytes = 0;
        return taken;
    }

    void dropChunks() {
        events.removeIf(event -> event.mark().kind() == EventMark.Kind.CHUNK);
        bytes = events.stream().mapToInt(WatchBuffer::length).sum();
        charge();
    }

    void clear() {
        events.clear();
        early.clear();
        bytes = 0;
        earlyBytes = 0;
        sendingBytes = 0;
    }

    /** Reports to the room how many bytes this buffer holds now. */
    void charge() {
        long now = bytes + earlyBytes + sendingBytes;
        if (charged == 0 && now > 0 && sendingBytes == 0) {
            // the watcher had nothing to read until now, so it has not been idle
            lastRead = room.now();
        }
        room.changed(watch, charged, now);
        charged = now;
    }

    private static int length(Watch.Next.Event event) {
        return event.value().get().length;
    }
}
