package dev.penstock.kafka.share;

/** Takes records of some topics from share groups. */
public interface ShareTopics extends AutoCloseable {
    /**
     * Takes records of one more topic, once it has room; from any thread. If two topics have the same rank, the earlier
     * one gets the shared room first.
     *
     * @param rank topics with a lower rank are more urgent
     */
    ShareTopic subscribe(String topic, String group, Receiver receiver, int rank);

    /** Sets how many records all topics together may have in flight; from any thread. */
    void room(int most);

    void start();

    /** Returns whether the client's thread runs. */
    boolean isAlive();

    /** Acknowledges what is known, gives back the rest, and leaves the groups; from any thread. */
    @Override
    void close();
}
