package dev.penstock.intake.share;

import dev.penstock.kafka.share.Receiver;
import dev.penstock.kafka.share.ShareStatistics;
import dev.penstock.kafka.share.ShareTopic;
import dev.penstock.kafka.share.ShareTopics;
import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.TakenRecord;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** A share client without a broker: the test gives the records, and sees what is asked of the client. */
final class PlayedTopics implements ShareTopics {
    final Map<String, Topic> topics = new LinkedHashMap<>();
    volatile int room = -1;
    volatile boolean started;
    volatile boolean closed;

    /** One topic. */
    static final class Topic implements ShareTopic {
        final Receiver receiver;
        final String group;
        final List<String> finished = new ArrayList<>();
        final List<CompletableFuture<Boolean>> renewals = new ArrayList<>();
        final Map<String, String> refusals = new LinkedHashMap<>();
        volatile int least;
        volatile int most;

        private Topic(String group, Receiver receiver) {
            this.group = group;
            this.receiver = receiver;
        }

        @Override
        public void room(int fewest, int records) {
            least = fewest;
            most = records;
        }

        @Override
        public void finish(TakenRecord record, Acknowledgement type) {
            finished.add(record + " " + type);
        }

        @Override
        public CompletableFuture<Boolean> renew(TakenRecord record) {
            CompletableFuture<Boolean> renewal = new CompletableFuture<>();
            renewals.add(renewal);
            return renewal;
        }

        @Override
        public Map<String, String> refusals() {
            return refusals;
        }

        @Override
        public ShareStatistics statistics() {
            return new ShareStatistics(1, 0, 7, 5, 4, 3, 0, 2, 6, 0, 0, 0, 900, 8, 0, 0);
        }
    }

    @Override
    public ShareTopic subscribe(String topic, String group, Receiver receiver, int rank) {
        Topic played = new Topic(group, receiver);
        topics.put(topic, played);
        return played;
    }

    @Override
    public void room(int most) {
        room = most;
    }

    @Override
    public void start() {
        started = true;
    }

    @Override
    public boolean isAlive() {
        return !closed;
    }

    @Override
    public void close() {
        closed = true;
    }
}
