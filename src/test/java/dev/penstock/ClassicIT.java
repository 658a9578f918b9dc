package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.EventMark;
import dev.penstock.kafka.SettingsTopic;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.wire.record.IntakeMode;
import dev.penstock.wire.record.SettingsVersion;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Jobs by classic consumer groups, for brokers without share groups; and the migration from one mode to the other. */
@Tag("long")
class ClassicIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int SLOTS = 64;

    private Rig rig;
    private FakeUpstream fake;

    @BeforeEach
    void startParts() {
        rig = Rig.start("classic");
        fake = rig.fake();
    }

    @AfterEach
    void stopParts() {
        rig.close();
    }

    @Test
    void jobs_run_once_each_on_every_slot_and_a_long_one_holds_up_nobody()
            throws InterruptedException, ExecutionException {
        PenstockProcess only = start("only", "classic");
        try (JobSender jobs = new JobSender(rig.broker().bootstrap())) {
            jobs.sendRaw(0, JobSender.chat("head", "[[tokens=40 delay=1000]]").getBytes(StandardCharsets.UTF_8));
            jobs.flush();
        }
        List<String> ids = Rig.ids("job", 1500);
        long start = System.nanoTime();
        rig.send(ids, "[[tokens=5 first=100 delay=50]]");

        rig.replies().awaitOutcomes(ids, PATIENCE);

        System.out.printf(
                "classic: 1,500 jobs of 300 ms on 64 slots: %.1f s, ideal 7.0 s%n", (System.nanoTime() - start) / 1e9);
        assertThat(rig.replies().reading("head").isClosed()).isFalse();
        ids.forEach(id -> assertThat(rig.replies().count(id, EventMark.Kind.STARTED))
                .as(id)
                .isEqualTo(1));
        assertThat(fake.stats().maxInFlight()).isEqualTo(SLOTS);
        rig.replies().awaitOutcomes(List.of("head"), PATIENCE);
        assertThat(rig.replies().count("head", EventMark.Kind.STARTED)).isEqualTo(1);
        awaitCommitted();
        assertThat(only.process().isAlive()).isTrue();
    }

    @Test
    void a_replica_that_is_killed_loses_nothing_and_one_that_stops_hands_back() throws InterruptedException {
        fake.script(_ -> Answer.tokens(20).every(Duration.ofMillis(300)));
        PenstockProcess killed = start("killed", "classic");
        PenstockProcess stopped = start("stopped", "classic");
        List<String> ids = Rig.ids("job", 300);
        rig.send(ids, "x");
        fake.await(stats -> stats.inFlight() >= SLOTS, PATIENCE);

        killed.kill9();
        start("third", "classic");
        stopped.terminate();

        rig.replies().awaitOutcomes(ids, PATIENCE);
        assertThat(rig.replies().outcomes(ids)).isEqualTo(Map.of("completed", 300));
        long twice = ids.stream()
                .filter(id -> rig.replies().count(id, EventMark.Kind.STARTED) > 1)
                .count();
        System.out.printf("classic: one replica killed, one stopped: %d of 300 jobs started twice%n", twice);
        assertThat(twice).isLessThanOrEqualTo(2 * SLOTS);
        ids.forEach(id ->
                assertThat(rig.replies().chunkText(id)).isEqualTo(rig.replies().completedText(id)));
    }

    @Test
    void a_replica_that_stood_still_for_too_long_gives_way() throws InterruptedException {
        fake.script(_ -> Answer.tokens(20).every(Duration.ofMillis(300)));
        PenstockProcess frozen = start("frozen", "classic");
        start("other", "classic");
        List<String> ids = Rig.ids("job", 200);
        rig.send(ids, "x");
        fake.await(stats -> stats.inFlight() >= SLOTS, PATIENCE);

        frozen.process().freeze();
        rig.replies().awaitOutcomes(ids, PATIENCE);
        frozen.process().thaw();

        List<String> more = Rig.ids("more", 200);
        rig.send(more, "x");
        rig.replies().awaitOutcomes(more, PATIENCE);
        System.out.printf(
                "classic: a replica frozen for longer than its session: %d of 200 jobs started more than once, then %d of 200%n",
                rig.startedAgain(ids), rig.startedAgain(more));
        assertThat(rig.replies().outcomes(ids)).isEqualTo(Map.of("completed", 200));
        assertThat(rig.replies().outcomes(more)).isEqualTo(Map.of("completed", 200));
        assertThat(frozen.process().isAlive()).isTrue();
    }

    @Test
    void a_migration_that_broke_off_is_finished_before_anything_starts()
            throws InterruptedException, ExecutionException {
        PenstockProcess share = start("share", "auto");
        rig.send(Rig.ids("first", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("first", 20), PATIENCE);
        stop(share);
        Map<String, Long> ends = new HashMap<>();
        try (Admin admin = rig.broker().admin()) {
            for (int partition = 0; partition < 4; partition++) {
                TopicPartition place = new TopicPartition("prompt-jobs", partition);
                ends.put(
                        "prompt-jobs/" + partition,
                        admin.listOffsets(Map.of(place, OffsetSpec.latest()))
                                .partitionResult(place)
                                .get()
                                .offset());
            }
            admin.deleteShareGroups(List.of("penstock.prompt-jobs")).all().get();
        }
        writeSettings(now -> now.withMoving(new SettingsVersion.Moving(IntakeMode.CLASSIC, ends)));

        PenstockProcess refused = builder("refused", "auto").start();
        assertThat(refused.process().awaitExit(PATIENCE)).hasValue(1);
        assertThat(String.join("\n", refused.process().output())).contains("migrate broke off", "--to classic");
        assertThat(migrate("share").awaitExit(PATIENCE)).as("the other way").isNotEqualTo(OptionalInt.of(0));
        assertThat(migrate("classic").awaitExit(PATIENCE)).hasValue(0);

        start("classic", "auto");
        rig.send(Rig.ids("second", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("second", 20), PATIENCE);
        for (String name : List.of("first", "second")) {
            assertThat(rig.startedAgain(Rig.ids(name, 20))).isZero();
        }
        assertThat(fake.stats().requests()).as("nothing from before ran again").isEqualTo(40);
    }

    private void writeSettings(Function<SettingsVersion, ObjectNode> change) throws InterruptedException {
        SettingsVersion now;
        try (KafkaConsumer<byte[], byte[]> reader = new KafkaConsumer<>(
                Map.of("bootstrap.servers", rig.broker().bootstrap()),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            now = SettingsTopic.read(reader, "penstock-settings");
        }
        try (JobSender settings = new JobSender(rig.broker().bootstrap(), "penstock-settings", Map.of())) {
            settings.sendRaw(0, now.next(change.apply(now)));
            settings.flush();
        }
    }

    @Test
    void the_mode_stays_until_it_is_migrated() throws InterruptedException {
        PenstockProcess share = start("share", "auto");
        rig.send(Rig.ids("first", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("first", 20), PATIENCE);

        PenstockProcess refused = builder("refused", "classic").start();
        assertThat(refused.process().awaitExit(PATIENCE)).hasValue(1);
        assertThat(String.join("\n", refused.process().output())).contains("penstock intake migrate");
        assertThat(migrate("classic").awaitExit(PATIENCE)).as("a replica runs").hasValue(5);

        stop(share);
        rig.send(Rig.ids("between", 20), "[[tokens=2]]");
        assertThat(migrate("classic").awaitExit(PATIENCE)).hasValue(0);
        PenstockProcess classic = start("classic", "auto");
        assertThat(String.join("\n", classic.process().output())).contains("classic mode");
        rig.send(Rig.ids("second", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("between", 20), PATIENCE);
        rig.replies().awaitOutcomes(Rig.ids("second", 20), PATIENCE);

        stop(classic);
        assertThat(migrate("share").awaitExit(PATIENCE)).hasValue(0);
        PenstockProcess again = start("again", "share");
        assertThat(String.join("\n", again.process().output())).contains("share mode");
        rig.send(Rig.ids("third", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("third", 20), PATIENCE);
        for (String name : List.of("first", "between", "second", "third")) {
            Rig.ids(name, 20)
                    .forEach(id -> assertThat(rig.replies().count(id, EventMark.Kind.STARTED))
                            .as(id)
                            .isEqualTo(1));
        }
    }

    /** As in a cluster that was upgraded from an older version. */
    @Test
    void a_broker_with_share_groups_off_gets_classic_ones_and_no_migration_to_the_others()
            throws InterruptedException, ExecutionException {
        try (Admin admin = rig.broker().admin()) {
            admin.updateFeatures(
                            Map.of(
                                    "share.version",
                                    new FeatureUpdate((short) 0, FeatureUpdate.UpgradeType.SAFE_DOWNGRADE)),
                            new UpdateFeaturesOptions())
                    .all()
                    .get();
        }
        PenstockProcess classic = start("classic", "auto");
        assertThat(String.join("\n", classic.process().output())).contains("classic mode");
        rig.send(Rig.ids("first", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("first", 20), PATIENCE);
        stop(classic);

        ChildProcess refused = migrate("share");
        assertThat(refused.awaitExit(PATIENCE)).isNotEqualTo(OptionalInt.of(0));
        assertThat(String.join("\n", refused.output())).contains("share.version");

        start("again", "auto");
        rig.send(Rig.ids("second", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("second", 20), PATIENCE);
        assertThat(fake.stats().requests()).isEqualTo(40);
    }

    @Test
    void groups_of_the_other_kind_are_not_taken_over() throws InterruptedException, ExecutionException {
        try (Admin admin = rig.broker().admin()) {
            admin.createTopics(List.of(new NewTopic("prompt-jobs", 4, (short) 1)))
                    .all()
                    .get();
            admin.alterConsumerGroupOffsets(
                            "penstock.prompt-jobs",
                            Map.of(new TopicPartition("prompt-jobs", 0), new OffsetAndMetadata(0)))
                    .all()
                    .get();
        }

        PenstockProcess refused = builder("refused", "share").start();
        assertThat(refused.process().awaitExit(PATIENCE)).hasValue(1);
        assertThat(String.join("\n", refused.process().output()))
                .contains("penstock.prompt-jobs is a", "penstock intake migrate");

        assertThat(migrate("share").awaitExit(PATIENCE)).as("as it says").hasValue(0);
        start("share", "share");
        rig.send(Rig.ids("first", 20), "[[tokens=2]]");
        rig.replies().awaitOutcomes(Rig.ids("first", 20), PATIENCE);
    }

    private ChildProcess migrate(String mode) throws InterruptedException {
        return ClientIT.run(List.of("intake", "migrate", "--kafka", rig.broker().bootstrap(), "--to", mode));
    }

    private static void stop(PenstockProcess process) throws InterruptedException {
        process.terminate();
        assertThat(process.process().awaitExit(PATIENCE)).hasValue(143);
    }

    /** The group has committed that everything is finished. */
    private void awaitCommitted() throws InterruptedException, ExecutionException {
        try (Admin admin = rig.broker().admin()) {
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (true) {
                Map<TopicPartition, OffsetAndMetadata> committed = admin.listConsumerGroupOffsets(
                                "penstock.prompt-jobs")
                        .partitionsToOffsetAndMetadata()
                        .get();
                boolean all = true;
                for (int partition = 0; partition < 4; partition++) {
                    TopicPartition place = new TopicPartition("prompt-jobs", partition);
                    long end = admin.listOffsets(Map.of(place, OffsetSpec.latest()))
                            .partitionResult(place)
                            .get()
                            .offset();
                    OffsetAndMetadata offset = committed.get(place);
                    all &= offset != null && offset.offset() == end;
                }
                if (all) {
                    return;
                }
                assertThat(System.nanoTime()).as("committed: %s", committed).isLessThan(until);
            }
        }
    }

    private PenstockProcess.Builder builder(String name, String mode) {
        return rig.replicaOf(3, name, SLOTS)
                .config("penstock.intake.mode", mode)
                .config("penstock.drain.timeout", "2s");
    }

    private PenstockProcess start(String name, String mode) throws InterruptedException {
        return rig.start(builder(name, mode));
    }
}
