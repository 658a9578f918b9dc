package dev.penstock.job;

/** Where a job's record lies. */
public record RecordPlace(String topic, int partition, long offset) {
    @Override
    public String toString() {
        return topic + "-" + partition + "@" + offset;
    }
}
