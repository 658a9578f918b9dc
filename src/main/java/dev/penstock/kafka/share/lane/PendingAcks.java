package dev.penstock.kafka.share.lane;

import dev.penstock.kafka.share.lane.AckGroup.Ack;
import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The acknowledgements of one partition that the broker has not confirmed. A refused group comes back in halves, until
 * the refused record is alone.
 */
public final class PendingAcks {
    private final Map<Long, Acknowledgement> fresh = new LinkedHashMap<>();
    private final ArrayDeque<AckGroup> again = new ArrayDeque<>();

    public void add(long offset, Acknowledgement type) {
        fresh.put(offset, type);
    }

    boolean isEmpty() {
        return fresh.isEmpty() && again.isEmpty();
    }

    /** Returns the number of requests that the acknowledgements take. */
    int groups() {
        return again.size() + (fresh.isEmpty() ? 0 : 1);
    }

    /** The locks of these records may be gone. */
    void doubt() {
        fresh.replaceAll((_, type) -> type.afterDoubt());
        for (int i = again.size(); i > 0; i--) {
            again.add(again.remove().afterDoubt());
        }
    }

    /** Removes the acknowledgement of a record, if one waits. */
    void remove(long offset) {
        fresh.remove(offset);
        for (int i = again.size(); i > 0; i--) {
            AckGroup group = again.remove();
            List<Ack> others =
                    group.acks().stream().filter(ack -> ack.offset() != offset).toList();
            if (!others.isEmpty()) {
                again.add(new AckGroup(others));
            }
        }
    }

    /** Removes and returns what the next request carries. There must be something. */
    AckGroup take() {
        AckGroup first = again.poll();
        if (first != null) {
            return first;
        }
        AckGroup all = new AckGroup(fresh.entrySet().stream()
                .map(ack -> new Ack(ack.getKey(), ack.getValue()))
                .toList());
        fresh.clear();
        return all;
    }

    /** The broker's answer did not come, or it asks to try later. */
    void repeat(AckGroup group) {
        again.addFirst(group);
    }

    /** The broker refused a group of at least two. */
    void halve(AckGroup group) {
        again.addAll(group.halves());
    }

    void clear() {
        fresh.clear();
        again.clear();
    }
}
