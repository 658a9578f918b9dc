package dev.penstock.intake.record;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.RecordPlace;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;

class PartitionsInFlightTest {
    private static final TopicPartition FIRST = new TopicPartition("prompt-jobs", 0);
    private static final TopicPartition SECOND = new TopicPartition("prompt-jobs", 1);

    private final PausedTime time = new PausedTime();
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final PartitionsInFlight inFlight = new PartitionsInFlight(TestSettings.defaults(), time, meters);

    @Test
    void a_topic_counts_the_records_of_its_partitions() {
        inFlight.taken(place(FIRST, 4), 1);
        inFlight.taken(place(FIRST, 5), 1);
        inFlight.taken(place(SECOND, 9), 1);

        assertThat(inFlight.partitions("prompt-jobs")).containsExactlyInAnyOrder(FIRST, SECOND);
        assertThat(inFlight.partitions("prompt-jobs-high")).isEmpty();
        assertThat(gauge("penstock.queue.in.hand")).isEqualTo(3);

        inFlight.released(place(FIRST, 4));
        assertThat(gauge("penstock.queue.in.hand")).isEqualTo(2);
    }

    @Test
    void the_newest_record_stays_the_newest_after_its_end_and_after_older_ones() {
        assertThat(inFlight.takenUpTo(FIRST)).as("nothing was taken").isZero();
        inFlight.taken(place(FIRST, 7), 1);
        inFlight.released(place(FIRST, 7));
        inFlight.taken(place(FIRST, 3), 1);

        assertThat(inFlight.takenUpTo(FIRST)).isEqualTo(8);
        assertThat(inFlight.takenUpTo(SECOND)).isZero();
    }

    @Test
    void the_time_of_the_newest_record_begins_with_the_start() {
        double start = PausedTime.START.toEpochMilli() / 1000.0;
        assertThat(gauge("penstock.queue.taken.timestamp.seconds")).isEqualTo(start);

        inFlight.taken(place(FIRST, 0), PausedTime.START.toEpochMilli() + 2_500);
        inFlight.taken(place(SECOND, 0), PausedTime.START.toEpochMilli() - 60_000);
        assertThat(gauge("penstock.queue.taken.timestamp.seconds")).isEqualTo(start + 2.5);
    }

    @Test
    void a_replica_that_takes_no_jobs_reports_none() {
        Settings none = TestSettings.ofFile(Map.of("penstock.intake.enabled", "false"));
        SimpleMeterRegistry its = new SimpleMeterRegistry();
        PartitionsInFlight partitions = new PartitionsInFlight(none, time, its);

        assertThat(partitions.partitions("prompt-jobs")).isEmpty();
        assertThat(its.find("penstock.queue.in.hand").gauge()).isNull();
    }

    private static RecordPlace place(TopicPartition partition, long offset) {
        return new RecordPlace(partition.topic(), partition.partition(), offset);
    }

    private double gauge(String name) {
        return meters.get(name).tag("topic", "prompt-jobs").gauge().value();
    }
}
