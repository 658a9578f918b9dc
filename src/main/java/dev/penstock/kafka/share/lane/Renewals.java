package dev.penstock.kafka.share.lane;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The renewals of one lane that have not been sent, or have to be sent again. */
final class Renewals {
    private final ArrayDeque<Renewal> waiting = new ArrayDeque<>();

    /** Why a group is renewed. It decides what a refusal means. */
    enum Purpose {
        /** A third of the lock is over. */
        DUE,
        /** The session is new: the locks may be gone. A refused group is asked for again. */
        CHECK,
        /** The record did not come again. A refused record is lost. */
        VERIFY
    }

    record Renewal(int partition, AckGroup group, Purpose purpose) {}

    boolean isEmpty() {
        return waiting.isEmpty();
    }

    boolean isChecking() {
        return waiting.stream().anyMatch(renewal -> renewal.purpose() != Purpose.DUE);
    }

    void add(Renewal renewal) {
        waiting.add(renewal);
    }

    void halve(Renewal refused) {
        for (AckGroup half : refused.group().halves()) {
            waiting.add(new Renewal(refused.partition(), half, refused.purpose()));
        }
    }

    void clear() {
        waiting.clear();
    }

    /**
     * Removes and returns what one request carries: one group a partition, of records that are still in flight.
     *
     * @param hands the lane's partitions
     */
    Map<Integer, Renewal> take(Map<Integer, PartitionHand> hands) {
        Map<Integer, Renewal> taken = new HashMap<>();
        for (int i = waiting.size(); i > 0; i--) {
            Renewal next = waiting.remove();
            PartitionHand hand = hands.get(next.partition());
            if (hand == null) {
                // another broker leads it now, and is asked there
                continue;
            }
            if (taken.containsKey(next.partition())) {
                waiting.add(next);
                continue;
            }
            List<Long> still = new ArrayList<>();
            for (AckGroup.Ack ack : next.group().acks()) {
                if (hand.held().containsKey(ack.offset()) && !hand.doubtful().contains(ack.offset())) {
                    still.add(ack.offset());
                }
            }
            if (!still.isEmpty()) {
                taken.put(next.partition(), new Renewal(next.partition(), AckGroup.renewing(still), next.purpose()));
            }
        }
        return taken;
    }
}
