package dev.penstock.cli;

import dev.penstock.wire.IntakeMode;
import dev.penstock.wire.SettingsVersion;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code penstock intake}: how jobs are taken from their topics. */
@Command(
        name = "intake",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "How jobs are taken: by share groups, or by classic consumer groups.",
        sortOptions = false)
final class IntakeCommand implements Runnable {
    private static final Duration POLL = Duration.ofMillis(200);

    private final Terminal terminal;

    @Spec
    private CommandSpec spec = CommandSpec.create();

    IntakeCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "intake: migrate is missing");
    }

    @Command(
            name = "migrate",
            mixinStandardHelpOptions = true,
            description = {
                "Goes over to the other mode: the new group of each topic begins where the old one is, and what the old one",
                "may have run beyond that is looked up before it is run. Every replica has to be stopped.",
                "May be run again where it broke off."
            },
            sortOptions = false)
    int migrate(
            @Mixin KafkaOptions kafka,
            @Option(names = "--to", paramLabel = "MODE", required = true, description = "share or classic") String to,
            @Option(
                            names = "--topic",
                            paramLabel = "T",
                            defaultValue = "prompt-jobs-high,prompt-jobs,prompt-jobs-low",
                            split = ",",
                            description = "the job topics; default ${DEFAULT-VALUE}")
                    List<String> topics,
            @Option(
                            names = "--deferred-topic",
                            paramLabel = "T",
                            defaultValue = "prompt-jobs-deferred",
                            description = "of jobs set aside; default ${DEFAULT-VALUE}")
                    String deferred,
            @Option(
                            names = "--settings-topic",
                            paramLabel = "T",
                            defaultValue = "penstock-settings",
                            description = "default ${DEFAULT-VALUE}")
                    String settingsTopic)
            throws Problem, InterruptedException {
        IntakeMode mode = IntakeMode.of(to)
                .orElseThrow(() -> Problem.usage("--to: '%s' is none of share, classic".formatted(to)));
        KafkaAccess access = kafka.access(new RestOptions());
        if (access == null) {
            throw Problem.usage("--kafka is missing: this is done at the broker");
        }
        try (Admin admin = access.admin()) {
            Map<String, GroupListing> groups = new HashMap<>();
            for (GroupListing group : access.get(admin.listGroups().all())) {
                groups.put(group.groupId(), group);
            }
            refuseMembers(groups, topics, deferred);
            Map<String, Long> ends = new HashMap<>();
            for (String topic : topics) {
                ends.putAll(migrate(access, admin, groups.get(group(topic)), topic, mode));
            }
            write(access, settingsTopic, mode, ends);
        }
        terminal.note(
                "jobs are taken in %s mode from now on: start the replicas again (penstock.intake.mode is auto or %s)"
                        .formatted(mode.wireName(), mode.wireName()));
        return Ending.COMPLETED.exitCode();
    }

    private static String group(String topic) {
        return "penstock." + topic;
    }

    private static void refuseMembers(Map<String, GroupListing> groups, List<String> topics, String deferred)
            throws Problem {
        List<String> ours =
                new ArrayList<>(topics.stream().map(IntakeCommand::group).toList());
        ours.add(group(deferred));
        ours.add("penstock-ledger");
        for (String name : ours) {
            GroupListing group = groups.get(name);
            GroupState state =
                    group == null ? GroupState.EMPTY : group.groupState().orElse(GroupState.EMPTY);
            if (state != GroupState.EMPTY && state != GroupState.DEAD) {
                throw Problem.refused(
                        "group %s has members (%s): stop every replica first, and wait until they have left"
                                .formatted(name, state));
            }
        }
    }

    /** @return the ends of the topic's partitions, as topic/partition */
    private Map<String, Long> migrate(
            KafkaAccess access, Admin admin, @Nullable GroupListing old, String topic, IntakeMode mode)
            throws Problem, InterruptedException {
        String group = group(topic);
        TopicDescription description =
                access.get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        if (description != null) {
            description
                    .partitions()
                    .forEach(partition ->
                            asked.put(new TopicPartition(topic, partition.partition()), OffsetSpec.latest()));
        }
        Map<String, Long> ends = new HashMap<>();
        Map<TopicPartition, Long> logEnds = new HashMap<>();
        access.get(admin.listOffsets(asked).all()).forEach((partition, end) -> {
            ends.put(topic + "/" + partition.partition(), end.offset());
            logEnds.put(partition, end.offset());
        });
        GroupType type = old == null ? GroupType.UNKNOWN : old.type().orElse(GroupType.UNKNOWN);
        if (mode == IntakeMode.CLASSIC && type == GroupType.SHARE) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            access.get(admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                            .partitionsToOffsetInfo(group))
                    .forEach((partition, info) -> {
                        if (info != null && info.startOffset() >= 0) {
                            boolean done = info.lag().orElse(-1L) == 0;
                            offsets.put(
                                    partition,
                                    new OffsetAndMetadata(
                                            done
                                                    ? logEnds.getOrDefault(partition, info.startOffset())
                                                    : info.startOffset()));
                        }
                    });
            access.get(admin.deleteShareGroups(List.of(group)).all());
            access.get(admin.alterConsumerGroupOffsets(group, offsets).all());
            terminal.note("%s: a classic group now, at %s".formatted(group, offsets(offsets)));
        } else if (mode == IntakeMode.SHARE && (type == GroupType.CLASSIC || type == GroupType.CONSUMER)) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>(
                    access.get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()));
            access.get(admin.deleteConsumerGroups(List.of(group)).all());
            var earliest =
                    new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
            access.get(admin.incrementalAlterConfigs(
                            Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), List.of(earliest)))
                    .all());
            Map<TopicPartition, Long> starts = new HashMap<>();
            offsets.forEach((partition, offset) -> starts.put(partition, offset.offset()));
            access.get(admin.alterShareGroupOffsets(group, starts).all());
            terminal.note("%s: a share group now, at %s".formatted(group, offsets(offsets)));
        } else {
            terminal.note("%s: nothing to move".formatted(group));
        }
        return ends;
    }

    private static Map<Integer, Long> offsets(Map<TopicPartition, OffsetAndMetadata> offsets) {
        Map<Integer, Long> byPartition = new HashMap<>();
        offsets.forEach((partition, offset) -> byPartition.put(partition.partition(), offset.offset()));
        return byPartition;
    }

    private static void write(KafkaAccess access, String topic, IntakeMode mode, Map<String, Long> ends)
            throws Problem, InterruptedException {
        TopicPartition partition = new TopicPartition(topic, 0);
        SettingsVersion version = SettingsVersion.start();
        try (KafkaConsumer<byte[], byte[]> reader = access.consumer()) {
            access.partitions(reader, topic);
            reader.assign(List.of(partition));
            reader.seekToBeginning(List.of(partition));
            long end = reader.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
            while (reader.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : reader.poll(POLL)) {
                    version = version.after(record.offset(), record.value());
                }
            }
        }
        Map<String, Long> all = new HashMap<>(version.recoverBelow());
        ends.forEach((place, end) -> all.merge(place, end, Math::max));
        try (KafkaProducer<byte[], byte[]> producer = access.producer()) {
            access.write(producer, new ProducerRecord<>(topic, 0, null, version.next(version.withIntake(mode, all))));
        }
    }
}
