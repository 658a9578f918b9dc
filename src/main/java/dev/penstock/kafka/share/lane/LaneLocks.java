package dev.penstock.kafka.share.lane;

import dev.penstock.kafka.share.lane.LaneAnswer.Acquired;
import dev.penstock.kafka.share.lane.Renewals.Purpose;
import dev.penstock.kafka.share.lane.Renewals.Renewal;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The locks of one lane's records: when they are renewed, and what a refused renewal means. */
final class LaneLocks {
    /** How long a record in doubt is asked for. */
    static final long ASK_MILLIS = 2_000;

    /** The broker may notice the end of the old connection after the new session has opened. */
    static final long SECOND_LOOK_MILLIS = 1_000;

    private final TopicHand hand;
    private final Renewals renewals = new Renewals();
    private Map<Integer, Renewal> inFlight = Map.of();
    private long renewAt = LaneStep.NEVER;
    private long lookAgainAt = LaneStep.NEVER;
    private long askUntil;

    LaneLocks(TopicHand hand) {
        this.hand = hand;
    }

    /** Returns whether some records may not be ours any more. */
    boolean isChecking(Map<Integer, PartitionHand> mine) {
        return renewals.isChecking()
                || inFlight.values().stream().anyMatch(renewal -> renewal.purpose() != Purpose.DUE)
                || doubtful(mine) > 0;
    }

    boolean isRenewing() {
        return !inFlight.isEmpty();
    }

    boolean isAsking(long now) {
        return now < askUntil;
    }

    long askUntil() {
        return askUntil;
    }

    /** Returns when there is something to renew. */
    long dueAt() {
        return renewals.isEmpty() ? Math.min(renewAt, lookAgainAt) : 0;
    }

    int doubtful(Map<Integer, PartitionHand> mine) {
        int doubtful = 0;
        for (PartitionHand partition : mine.values()) {
            doubtful += partition.doubtful().size();
        }
        return doubtful;
    }

    /** The session is new. All records in flight are checked, and once more a little later. */
    void checkAll(Map<Integer, PartitionHand> mine, long now) {
        for (PartitionHand partition : mine.values()) {
            if (!partition.held().isEmpty()) {
                check(partition);
                lookAgainAt = now + SECOND_LOOK_MILLIS;
            }
        }
    }

    /** The partition's locks may be gone. */
    void check(PartitionHand partition) {
        partition.doubtful().clear();
        partition.doubtAll();
        if (!partition.held().isEmpty()) {
            renewals.add(new Renewal(
                    partition.partition(), AckGroup.renewing(partition.held().keySet()), Purpose.CHECK));
        }
    }

    /** These records did not come again. The broker may still hold some of their locks for this process. */
    void verify(Map<Integer, PartitionHand> mine) {
        for (PartitionHand partition : mine.values()) {
            List<Long> still = partition.doubtful().stream()
                    .filter(partition.held()::containsKey)
                    .toList();
            partition.doubtful().clear();
            if (!still.isEmpty()) {
                renewals.add(new Renewal(partition.partition(), AckGroup.renewing(still), Purpose.VERIFY));
            }
        }
    }

    /** The session is gone, and what was to be renewed is checked in the next one. */
    void drop(Map<Integer, PartitionHand> mine) {
        renewals.clear();
        inFlight = Map.of();
        renewAt = LaneStep.NEVER;
        lookAgainAt = LaneStep.NEVER;
        mine.values().forEach(partition -> {
            partition.doubtful().clear();
            partition.doubtAll();
        });
    }

    /** Collects the locks of which a third is over. */
    void collectDue(Map<Integer, PartitionHand> mine, long now) {
        boolean all = now >= lookAgainAt;
        if (!renewals.isEmpty() || (now < renewAt && !all)) {
            return;
        }
        lookAgainAt = all ? LaneStep.NEVER : lookAgainAt;
        renewAt = LaneStep.NEVER;
        for (PartitionHand partition : mine.values()) {
            List<Long> due = new ArrayList<>();
            for (TakenRecord record : partition.held().values()) {
                if (partition.doubtful().contains(record.offset())) {
                    continue;
                }
                // those that are due soon go with the same request
                if (all || record.isRenewalWanted() || renewalOf(record) <= now + hand.lockMillis() / 12) {
                    due.add(record.offset());
                } else {
                    held(record);
                }
            }
            if (!due.isEmpty()) {
                renewals.add(new Renewal(partition.partition(), AckGroup.renewing(due), Purpose.DUE));
            }
        }
    }

    /** A third of the lock after its request left, or at once if a run wants it. */
    private long renewalOf(TakenRecord record) {
        return record.isRenewalWanted() ? 0 : record.lockedUntil() - 2L * hand.lockMillis() / 3;
    }

    /** The record is in flight, with this lock or this wish. */
    void held(TakenRecord record) {
        renewAt = Math.min(renewAt, renewalOf(record));
    }

    /** Removes and returns the renewals of one request. */
    Map<Integer, AckGroup> take(Map<Integer, PartitionHand> mine) {
        inFlight = renewals.take(mine);
        Map<Integer, AckGroup> groups = new HashMap<>();
        inFlight.forEach((partition, renewal) -> {
            groups.put(partition, renewal.group());
            Map<Long, TakenRecord> held = hand.partition(partition).held();
            renewal.group().acks().forEach(ack -> {
                TakenRecord record = held.get(ack.offset());
                if (record != null) {
                    record.renewalLeaves();
                }
            });
        });
        return groups;
    }

    /**
     * The broker has locked these records.
     *
     * @return the records that are new, with their delivery counts; the jobs of the others go on
     */
    Map<Long, Integer> acquired(PartitionHand partition, List<Acquired> ranges, long lockedUntil) {
        Map<Long, Integer> fresh = new TreeMap<>();
        for (Acquired range : ranges) {
            for (long offset = range.first(); offset <= range.last(); offset++) {
                TakenRecord runs = partition.held().get(offset);
                if (partition.isNew(offset, range.deliveries(), lockedUntil)) {
                    fresh.put(offset, range.deliveries());
                } else if (runs != null) {
                    hand.counts().adopted++;
                    held(runs);
                }
            }
        }
        return fresh;
    }

    /**
     * The broker answered the renewals in flight.
     *
     * @return whether to wait before the next request
     */
    boolean onRenewed(Map<Integer, BrokerCode> codes, long lockedUntil, long now) {
        Map<Integer, Renewal> answered = inFlight;
        inFlight = Map.of();
        boolean wait = false;
        for (Renewal renewal : answered.values()) {
            PartitionHand partition = hand.partition(renewal.partition());
            BrokerCode code = codes.getOrDefault(renewal.partition(), BrokerCode.NONE);
            if (code == BrokerCode.MOVED && renewal.purpose() == Purpose.CHECK) {
                // a broker does not know a partition that no session has fetched since its last one ended
                hand.wantMetadata();
                code = BrokerCode.NOT_OURS;
            }
            switch (code) {
                case NONE -> renewed(partition, renewal, lockedUntil);
                case NOT_OURS -> refused(partition, renewal, now);
                case MOVED,
                        SESSION_GONE,
                        SESSION_LIMIT,
                        UNKNOWN_MEMBER,
                        MEMBER_LIMIT,
                        NOT_COORDINATOR,
                        RETRY,
                        REFUSED -> {
                    later(partition, renewal, now);
                    wait = true;
                }
            }
        }
        return wait;
    }

    private void renewed(PartitionHand partition, Renewal renewal, long lockedUntil) {
        hand.counts().renewed += renewal.group().size();
        for (AckGroup.Ack ack : renewal.group().acks()) {
            TakenRecord record = partition.held().get(ack.offset());
            if (record != null) {
                record.locked(lockedUntil);
                held(record);
            }
        }
    }

    private void later(PartitionHand partition, Renewal renewal, long now) {
        hand.wantMetadata();
        for (AckGroup.Ack ack : renewal.group().acks()) {
            TakenRecord record = partition.held().get(ack.offset());
            if (record != null && record.lockedUntil() <= now) {
                hand.lose(partition, ack.offset(), "its lock ran out, and the broker does not renew it");
            }
        }
        renewals.add(renewal);
    }

    private void refused(PartitionHand partition, Renewal renewal, long now) {
        if (renewal.purpose() != Purpose.CHECK && renewal.group().size() > 1) {
            renewals.halve(renewal);
            return;
        }
        for (AckGroup.Ack ack : renewal.group().acks()) {
            TakenRecord record = partition.held().get(ack.offset());
            if (record == null) {
                continue;
            }
            if (renewal.purpose() == Purpose.VERIFY) {
                hand.lose(partition, ack.offset(), "it did not come back after its session ended");
            } else if (renewal.purpose() == Purpose.DUE && record.lockedUntil() <= now) {
                hand.lose(partition, ack.offset(), "its lock ran out");
            } else {
                // the broker freed it early: it may come to us again
                partition.doubtful().add(ack.offset());
                record.doubt();
                askUntil = now + ASK_MILLIS;
            }
        }
    }
}
