package dev.penstock.intake.watch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.intake.record.PausedTime;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The backlog of a share group and the windows of its partitions, by what the broker reports and what was taken. */
class ShareGroupLagTest {
    private static final String TOPIC = "prompt-jobs";
    private static final TopicPartition FIRST = new TopicPartition(TOPIC, 0);
    private static final TopicPartition SECOND = new TopicPartition(TOPIC, 1);

    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final Settings settings = TestSettings.ofFile(Map.of("penstock.intake.slots", "8"));
    private final KafkaClients kafka =
            new KafkaClients(Map.of("bootstrap.servers", "broker:9092"), settings.maxRecord());
    private final PartitionsInFlight inFlight = new PartitionsInFlight(settings, new PausedTime(), meters);
    private final Warnings warnings = new Warnings();
    private final Backlog backlog = new Backlog(settings, meters);
    private final LockWindows windows = new LockWindows(kafka, settings, inFlight, warnings, meters);
    private final ShareGroupLag lag = new ShareGroupLag(settings, inFlight, backlog, windows);

    @BeforeEach
    void start() {
        windows.start(Map.of(TOPIC, 100), List.of(FIRST, SECOND));
        lag.start(List.of(FIRST, SECOND));
    }

    @Test
    void the_backlog_counts_partitions_that_the_group_has_not_begun() {
        lag.note(TOPIC, new GroupLag.OfShareGroup(12, Map.of(FIRST, info(0, 5))));

        assertThat(backlog.all()).isEqualTo(Map.of(TOPIC, 12L));
        assertThat(meters.get("penstock.queue.lag").tag("topic", TOPIC).gauge().value())
                .isEqualTo(12);
        assertThat(meters.get("penstock.queue.lag")
                        .tag("topic", "prompt-jobs-deferred")
                        .gauge()
                        .value())
                .isZero();
    }

    @Test
    void a_window_is_used_from_the_oldest_unfinished_record_to_the_newest_that_was_taken() {
        take(FIRST, 10, 51);
        assertThat(windows.fullest()).isEqualTo(Map.of(TOPIC, 0.0));

        lag.note(TOPIC, new GroupLag.OfShareGroup(60, Map.of(FIRST, info(11, 60), SECOND, info(3, 1))));

        assertThat(windows.fullest()).isEqualTo(Map.of(TOPIC, 0.5));
        assertThat(used("0")).isEqualTo(0.5);
        assertThat(used("1")).as("nothing of it was taken here").isZero();
        assertThat(warnings.all()).isEmpty();
    }

    @Test
    void a_window_that_is_nearly_full_is_a_warning_until_it_is_not() {
        take(FIRST, 0, 81);
        lag.note(TOPIC, new GroupLag.OfShareGroup(90, Map.of(FIRST, info(0, 90))));

        assertThat(warnings.all()).containsOnlyKeys("window.prompt-jobs-0");
        assertThat(warnings.all().get("window.prompt-jobs-0"))
                .contains(
                        "when 100 records lie between",
                        "at offset 0; now there are 81",
                        "--bootstrap-server broker:9092 --alter --group penstock.prompt-jobs --add-config share.partition.max.record.locks=200");

        lag.note(TOPIC, new GroupLag.OfShareGroup(89, Map.of(FIRST, info(1, 89))));
        assertThat(warnings.all()).isEmpty();
    }

    @Test
    void a_partition_without_unfinished_records_uses_nothing_of_its_window() {
        take(FIRST, 0, 90);
        lag.note(TOPIC, new GroupLag.OfShareGroup(0, Map.of(FIRST, info(90, 0))));

        assertThat(used("0")).isZero();
        assertThat(warnings.all()).isEmpty();
    }

    @Test
    void in_classic_mode_there_is_no_window() {
        SimpleMeterRegistry its = new SimpleMeterRegistry();
        LockWindows none = new LockWindows(kafka, settings, inFlight, warnings, its);
        none.start(Map.of(), List.of(FIRST));

        assertThat(none.fullest()).isEmpty();
        assertThat(its.getMeters()).isEmpty();
    }

    private void take(TopicPartition partition, long from, int records) {
        for (long offset = from; offset < from + records; offset++) {
            inFlight.taken(new RecordPlace(partition.topic(), partition.partition(), offset), 0);
        }
    }

    private double used(String partition) {
        return meters.get("penstock.intake.window.used")
                .tag("topic", TOPIC)
                .tag("partition", partition)
                .gauge()
                .value();
    }

    private static SharePartitionOffsetInfo info(long start, long lag) {
        return new SharePartitionOffsetInfo(start, Optional.empty(), Optional.of(lag));
    }
}
