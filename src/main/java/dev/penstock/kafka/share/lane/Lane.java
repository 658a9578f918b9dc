package dev.penstock.kafka.share.lane;

import dev.penstock.kafka.share.lane.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.LaneAnswer.PartitionFetched;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One topic's session with one broker: a state machine without input and output. Times are milliseconds of a clock that
 * never goes back. At most one request is in flight, because the broker handles no second one of a session.
 *
 * <p>A session opens without records if some are in flight. Then the lane is CHECKING: it renews all of them, asks again
 * for those that the broker refuses, and adopts those that come. What has not come after two seconds is lost.
 */
public final class Lane {
    private static final int SHORT_WAIT_MILLIS = 10;

    /** A fetch that waits longer at the broker finds nothing there. */
    static final int MORE_MILLIS = 50;

    private final int broker;
    private final TopicHand hand;
    private final ShareOptions options;
    private final LaneLocks locks;
    private final LaneAcks acks;
    private final LanePace pace = new LanePace();
    private final Set<Integer> session = new HashSet<>();
    private boolean open;
    private int epoch = LaneRequest.OPENING;
    private @Nullable LaneRequest inFlight;
    private long sentAt;
    private int asked;
    private long askedAt;
    private int brought = 1;
    private boolean closing;

    public enum State {
        /** There is no session. */
        CLOSED,
        /** The session is open. Some records in flight may not be ours any more. */
        CHECKING,
        /** The session is open, and the broker has confirmed every record in flight. */
        OPEN
    }

    /**
     * What a lane may ask for.
     *
     * @param free the room that no lane has asked for; may be negative
     * @param records this lane's share of it
     * @param othersStarve whether other lanes wait and find nothing left
     */
    record Share(int free, int records, boolean othersStarve) {}

    /** New records in an answer. Their values have not been read. */
    public record Unread(Map<Long, Integer> deliveries, PartitionFetched from) {}

    Lane(int broker, TopicHand hand, ShareOptions options) {
        this.broker = broker;
        this.hand = hand;
        this.options = options;
        this.locks = new LaneLocks(hand);
        this.acks = new LaneAcks(hand, options.linger().toMillis());
    }

    public int broker() {
        return broker;
    }

    public State state() {
        if (!open) {
            return State.CLOSED;
        }
        return locks.isChecking(mine()) ? State.CHECKING : State.OPEN;
    }

    public boolean isWaiting() {
        return inFlight != null;
    }

    /** Returns how many records the last fetch brought. */
    int brought() {
        return brought;
    }

    /** Returns whether the broker probably has more records: it filled the last fetch, and the next one is short. */
    boolean hasMore(long now) {
        return open && pace.isFilled() && now >= pace.notBefore() && (inFlight == null || now - sentAt < MORE_MILLIS);
    }

    /** Returns the number of new records that the request in flight may bring. */
    int asked() {
        return asked;
    }

    /** Returns whether the lane has closed its session as asked. */
    public boolean isGone() {
        return closing && !open && inFlight == null;
    }

    /** Returns when the lane asked for new records last. */
    long askedAt() {
        return askedAt;
    }

    /** Returns the earliest time of the next request. */
    long notBefore() {
        return pace.notBefore();
    }

    private Map<Integer, PartitionHand> mine() {
        Map<Integer, PartitionHand> mine = new TreeMap<>();
        for (PartitionHand partition : hand.partitions()) {
            if (partition.leader() == broker && hand.isWanted(partition)) {
                mine.put(partition.partition(), partition);
            }
        }
        return mine;
    }

    // ---- decisions

    /** Decides what the lane does now. */
    LaneStep step(Share share, long now) {
        if (inFlight != null) {
            return new LaneStep.Idle(LaneStep.NEVER);
        }
        if (now < pace.notBefore()) {
            return new LaneStep.Idle(pace.notBefore());
        }
        Map<Integer, PartitionHand> mine = mine();
        if (closing) {
            return closeSession(mine, now);
        }
        if (!open) {
            return openSession(mine, share, now);
        }
        locks.collectDue(mine, now);
        int doubtful = locks.doubtful(mine);
        if (locks.dueAt() > now && doubtful > 0 && !locks.isAsking(now)) {
            locks.verify(mine);
            doubtful = 0;
        }
        if (locks.dueAt() <= now) {
            if (!session.containsAll(mine.keySet())) {
                return fetch(mine, Map.of(), 0, 0, 0, now);
            }
            Map<Integer, AckGroup> renewals = locks.take(mine);
            if (!renewals.isEmpty()) {
                hand.counts().renewRequests++;
                return send(new LaneRequest.Acknowledge(epoch, renewals, true), 0, now);
            }
        }
        if (doubtful > 0) {
            int free = Math.max(0, share.free());
            int wait = (int) Math.min(options.busyWait().toMillis(), locks.askUntil() - now);
            return fetch(mine, acks.take(mine), free + doubtful, free, wait, now);
        }
        return work(mine, share, now);
    }

    private LaneStep openSession(Map<Integer, PartitionHand> mine, Share share, long now) {
        if (mine.isEmpty()) {
            return new LaneStep.Idle(LaneStep.NEVER);
        }
        epoch = LaneRequest.OPENING;
        int records = holds(mine) ? 0 : Math.clamp(share.free(), 0, 1);
        return fetch(mine, Map.of(), records, records, 0, now);
    }

    private LaneStep work(Map<Integer, PartitionHand> mine, Share share, long now) {
        boolean toSay = acks.isDue(mine, now);
        if (toSay && pace.isFilled() && share.free() < hand.room() / 2 && now < acks.lingerUntil()) {
            return new LaneStep.Idle(Math.min(acks.lingerUntil(), locks.dueAt()));
        }
        boolean dear = pace.areDear(share.records(), now);
        if (share.records() > 0 && !mine.isEmpty() && !dear) {
            long wait = share.othersStarve()
                    ? SHORT_WAIT_MILLIS
                    : (holds(mine) ? options.busyWait() : options.idleWait()).toMillis();
            return fetch(mine, acks.take(mine), share.records(), share.records(), (int) wait, now);
        }
        if (toSay) {
            return send(new LaneRequest.Acknowledge(epoch, acks.take(mine), false), 0, now);
        }
        return new LaneStep.Idle(dear ? Math.min(pace.dearUntil(), locks.dueAt()) : locks.dueAt());
    }

    private LaneStep closeSession(Map<Integer, PartitionHand> mine, long now) {
        if (!open) {
            return new LaneStep.Idle(LaneStep.NEVER);
        }
        boolean last =
                mine.values().stream().allMatch(partition -> partition.acks().groups() <= 1);
        return send(new LaneRequest.Acknowledge(last ? LaneRequest.FINAL : epoch, acks.take(mine), false), 0, now);
    }

    private static boolean holds(Map<Integer, PartitionHand> mine) {
        return mine.values().stream().anyMatch(partition -> !partition.held().isEmpty());
    }

    private LaneStep fetch(
            Map<Integer, PartitionHand> mine,
            Map<Integer, AckGroup> said,
            int records,
            int newRecords,
            int waitMillis,
            long now) {
        Set<Integer> added = new HashSet<>(mine.keySet());
        added.removeAll(session);
        Set<Integer> forgotten = new HashSet<>(session);
        forgotten.removeAll(mine.keySet());
        session.clear();
        session.addAll(mine.keySet());
        hand.counts().fetches++;
        return send(new LaneRequest.Fetch(epoch, said, added, forgotten, records, waitMillis), newRecords, now);
    }

    private LaneStep send(LaneRequest request, int newRecords, long now) {
        inFlight = request;
        asked = newRecords;
        sentAt = now;
        askedAt = newRecords > 0 ? now : askedAt;
        return new LaneStep.Send(request);
    }

    // ---- events

    /** Returns until when the locks of the last answer's records hold for sure. */
    public long lockedUntil() {
        return sentAt + hand.lockMillis();
    }

    /** A new record is in flight. */
    void held(TakenRecord record) {
        locks.held(record);
    }

    /** A run wants a renewal that leaves from now on. A lane that opens renews all. */
    void renewNow(TakenRecord record) {
        record.wantRenewal();
        locks.held(record);
    }

    /** A partition has come from another leader, which took the locks with it. */
    void check(PartitionHand partition) {
        if (open) {
            locks.check(partition);
        }
    }

    /** Ends the session after what is known has been acknowledged. */
    public void close() {
        closing = true;
    }

    /** The topic is another one, and the session is useless. An answer to the old one does not count. */
    void restart() {
        inFlight = null;
        asked = 0;
        dropSession();
    }

    /** No answer comes to this request: its connection is gone. */
    public void onUnanswered(LaneRequest request) {
        if (isInFlight(request)) {
            onDisconnected();
        }
    }

    /** The connection is gone. Which records are still ours is asked in the next session. */
    public void onDisconnected() {
        hand.counts().disconnects++;
        hand.wantMetadata();
        endSession();
    }

    /** Returns false for a request from before {@link #restart}. */
    @SuppressWarnings("ReferenceEquality") // the next request may be equal to it
    private boolean isInFlight(LaneRequest request) {
        return request == inFlight;
    }

    /** The answer to the request in flight does not come, or does not count. */
    private void endSession() {
        if (inFlight != null && !locks.isRenewing()) {
            acks.unanswered(inFlight.acks());
        }
        inFlight = null;
        asked = 0;
        dropSession();
    }

    private void dropSession() {
        open = false;
        epoch = LaneRequest.OPENING;
        session.clear();
        locks.drop(mine());
    }

    /**
     * The broker answered a fetch.
     *
     * @param request the request that it answers; another one than that in flight does not count
     * @return the records that are new; the caller reads them and calls {@link TopicLanes#hold}
     */
    public List<Unread> onFetched(LaneRequest request, Fetched answer, long now) {
        int wanted = asked;
        if (!isInFlight(request) || !goesOn(answer, now)) {
            return List.of();
        }
        if (!open) {
            open = true;
            locks.checkAll(mine(), now);
        }
        Map<Integer, AckGroup> said = new HashMap<>(request.acks());
        List<Unread> unread = new ArrayList<>();
        BrokerCode failure = BrokerCode.NONE;
        long bytes = 0;
        brought = 0;
        for (PartitionFetched fetched : answer.partitions()) {
            PartitionHand partition = hand.partition(fetched.partition());
            AckGroup group = said.remove(fetched.partition());
            if (group != null) {
                onSaid(fetched.partition(), group, fetched.acknowledged(), now);
            }
            if (fetched.code() != BrokerCode.NONE) {
                // any other error may pass soon
                failure = failure == BrokerCode.NONE || failure == BrokerCode.REFUSED ? fetched.code() : failure;
                hand.failed(fetched.code());
            } else if (!fetched.acquired().isEmpty()) {
                brought += fetched.count();
                bytes += fetched.records().remaining();
                Map<Long, Integer> fresh = locks.acquired(partition, fetched.acquired(), lockedUntil());
                if (!fresh.isEmpty()) {
                    unread.add(new Unread(fresh, fetched));
                }
            }
        }
        // the broker leaves out a partition whose acknowledgements went well and that has no records
        said.values().forEach(group -> hand.counts().acknowledged += group.size());
        pace.fetched(bytes, brought, wanted, now);
        hand.counts().emptyFetches += brought == 0 ? 1 : 0;
        if (failure == BrokerCode.NONE) {
            pace.recovered();
        } else if (brought == 0) {
            pace.failed(failure == BrokerCode.REFUSED && !holds(mine()) ? failure : BrokerCode.RETRY, now);
        }
        return unread;
    }

    /** The broker answered an acknowledgement; as {@link #onFetched}. */
    public void onAcknowledged(LaneRequest request, Acknowledged answer, long now) {
        boolean renewing = locks.isRenewing();
        if (!isInFlight(request) || !goesOn(answer, now)) {
            return;
        }
        if (request.epoch() == LaneRequest.FINAL) {
            dropSession();
        }
        if (renewing) {
            if (locks.onRenewed(answer.partitions(), lockedUntil(), now)) {
                pace.retry(now);
            }
            return;
        }
        request.acks()
                .forEach((partition, group) ->
                        onSaid(partition, group, answer.partitions().getOrDefault(partition, BrokerCode.NONE), now));
    }

    /** Returns whether the session goes on, so that the answer counts. */
    private boolean goesOn(LaneAnswer answer, long now) {
        pace.later(answer.throttleMillis(), now);
        hand.lockLasts(answer.lockMillis());
        if (answer.code() == BrokerCode.NONE) {
            inFlight = null;
            asked = 0;
            epoch = epoch == Integer.MAX_VALUE ? 1 : epoch + 1;
            return true;
        }
        endSession();
        hand.failed(answer.code());
        pace.failed(answer.code(), now);
        return false;
    }

    private void onSaid(int partition, AckGroup group, BrokerCode code, long now) {
        if (acks.onResult(hand.partition(partition), group, code)) {
            pace.retry(now);
        }
    }
}
