package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.TakenRecord;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** One topic that a client takes records from. Thread-safe. */
public interface ShareTopic {
    /**
     * Sets how many records this topic may have in flight. With 0, the client takes nothing more and keeps what it has.
     *
     * @param least so many, whatever the other topics have in flight
     */
    void room(int least, int most);

    /**
     * The job of a record has ended.
     *
     * @param type ACCEPT, ACCEPT_UNDOUBTED, RELEASE or REJECT
     */
    void finish(TakenRecord record, Acknowledgement type);

    /**
     * Renews the lock of a record now, with a request of its own. If the connection is lost, the answer waits for the
     * next one.
     *
     * @return whether the lock still holds; otherwise another consumer may own the record
     */
    CompletableFuture<Boolean> renew(TakenRecord record);

    /**
     * Returns the errors that last until a person changes something, such as a missing permission, by what the brokers
     * refuse. Each begins with the name of Kafka's error.
     */
    Map<String, String> refusals();

    /** Returns the counters, at most a second old. */
    ShareStatistics statistics();
}
