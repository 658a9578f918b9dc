package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.kafka.KafkaAccess;
import dev.penstock.cli.kafka.KafkaOptions;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Terminal;
import dev.penstock.kafka.SettingsTopic;
import dev.penstock.kafka.ShareSupport;
import dev.penstock.wire.record.GroupNames;
import dev.penstock.wire.record.IntakeMode;
import dev.penstock.wire.record.SettingsVersion;
import dev.penstock.wire.record.SettingsVersion.Moving;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * {@code penstock intake}: shows or changes the intake mode. The mode decides how replicas receive jobs from their
 * topics.
 */
@Command(
        name = "intake",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "How jobs are taken: by share groups, or by classic consumer groups.",
        sortOptions = false)
public final class IntakeCommand implements Runnable {
    private final Terminal terminal;

    @Spec
    private CommandSpec spec = CommandSpec.create();

    public IntakeCommand(Terminal terminal) {
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
                "Migrates to the other mode: the new group of each topic begins at the position of the old one. Records that the old",
                "group may have run beyond it are looked up before they run. Stop every replica first.",
                "If it breaks off, run it again."
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
                            description = "the topic of deferred jobs; default ${DEFAULT-VALUE}")
                    String deferred,
            @Option(
                            names = "--settings-topic",
                            paramLabel = "T",
                            defaultValue = "penstock-settings",
                            description = "default ${DEFAULT-VALUE}")
                    String settingsTopic,
            @Option(
                            names = "--groups-prefix",
                            paramLabel = "P",
                            defaultValue = "${env:PENSTOCK_GROUPS_PREFIX:-}",
                            description =
                                    "penstock.groups-prefix of the service; default: the environment's PENSTOCK_GROUPS_PREFIX, else none")
                    String groupsPrefix)
            throws Problem, InterruptedException {
        IntakeMode mode = IntakeMode.of(to)
                .orElseThrow(() -> Problem.usage("--to: '%s' is none of share, classic".formatted(to)));
        KafkaAccess access = kafka.access(new RestOptions());
        if (access == null) {
            throw Problem.usage("--kafka is missing: this is done at the broker");
        }
        if (!GroupNames.isValid(groupsPrefix)) {
            throw Problem.usage("--groups-prefix: '%s': %s".formatted(groupsPrefix, GroupNames.RULE));
        }
        GroupNames names = new GroupNames(groupsPrefix);
        try (Admin admin = access.admin()) {
            Map<String, GroupListing> groups = new HashMap<>();
            for (GroupListing group : access.get(admin.listGroups().all())) {
                groups.put(group.groupId(), group);
            }
            refuseMembers(groups, names, topics, deferred);
            if (mode == IntakeMode.SHARE) {
                // checked before any change, because an interrupted change cannot be undone, only finished
                refuseWithoutShareGroups(access, admin, names.of(topics.getFirst()));
            }
            SettingsVersion version = read(access, settingsTopic);
            SettingsVersion.Moving brokenOff = version.moving().orElse(null);
            if (brokenOff != null && brokenOff.to() != mode) {
                throw Problem.refused("an earlier change to %s mode broke off: --to %s first, and back then"
                        .formatted(brokenOff.to().wireName(), brokenOff.to().wireName()));
            }
            // finishes an interrupted change, even if this command does not list all of its topics
            Set<String> moved = new LinkedHashSet<>(topics);
            if (brokenOff != null) {
                brokenOff.starts().keySet().forEach(place -> moved.add(place.replaceFirst("/.*", "")));
            }
            Map<String, Long> starts = new HashMap<>();
            Map<TopicPartition, Long> ends = new HashMap<>();
            for (String topic : moved) {
                Map<TopicPartition, Long> ofTopic = ends(access, admin, topic);
                ends.putAll(ofTopic);
                starts(access, admin, groups.get(names.of(topic)), mode, ofTopic)
                        .forEach((partition, start) -> starts.put(place(partition), start));
            }
            if (brokenOff != null) {
                // the interrupted change may have deleted old groups already, so the offsets that it recorded apply
                starts.putAll(brokenOff.starts());
            }
            version = write(access, settingsTopic, version, version.withMoving(new Moving(mode, starts)));
            for (String topic : moved) {
                move(access, admin, groups.get(names.of(topic)), names.of(topic), topic, mode, starts);
            }
            Map<String, Long> recoverBelow = new HashMap<>(version.recoverBelow());
            ends.forEach((partition, end) -> recoverBelow.merge(place(partition), end, Math::max));
            write(access, settingsTopic, version, version.withIntake(mode, recoverBelow));
        }
        terminal.note(
                "jobs are taken in %s mode from now on: start the replicas again (penstock.intake.mode is auto or %s)"
                        .formatted(mode.wireName(), mode.wireName()));
        return Ending.COMPLETED.exitCode();
    }

    private static void refuseMembers(
            Map<String, GroupListing> groups, GroupNames names, List<String> topics, String deferred) throws Problem {
        List<String> ours = new ArrayList<>(topics.stream().map(names::of).toList());
        ours.add(names.of(deferred));
        ours.add(names.ledger());
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

    private static void refuseWithoutShareGroups(KafkaAccess access, Admin admin, String group)
            throws Problem, InterruptedException {
        try {
            if (ShareSupport.isThere(admin, group)) {
                return;
            }
        } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException cause
                    ? access.problem(cause)
                    : Problem.brokenOff(e.toString());
        }
        throw Problem.refused(
                "the broker has no share groups as they are needed, and nothing was changed: that takes Kafka 4.3, with the feature on (kafka-features --bootstrap-server BROKER upgrade --feature share.version=1)");
    }

    private static Map<TopicPartition, Long> ends(KafkaAccess access, Admin admin, String topic)
            throws Problem, InterruptedException {
        TopicDescription description =
                access.get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        Map<TopicPartition, OffsetSpec> requests = new HashMap<>();
        if (description != null) {
            description
                    .partitions()
                    .forEach(partition ->
                            requests.put(new TopicPartition(topic, partition.partition()), OffsetSpec.latest()));
        }
        Map<TopicPartition, Long> ends = new HashMap<>();
        access.get(admin.listOffsets(requests).all()).forEach((partition, end) -> ends.put(partition, end.offset()));
        return ends;
    }

    /** Returns the old group's offset in each partition; empty if there is no old group. */
    private static Map<TopicPartition, Long> starts(
            KafkaAccess access,
            Admin admin,
            @Nullable GroupListing old,
            IntakeMode mode,
            Map<TopicPartition, Long> ends)
            throws Problem, InterruptedException {
        Map<TopicPartition, Long> starts = new HashMap<>();
        GroupType type = type(old);
        if (old != null && mode == IntakeMode.CLASSIC && type == GroupType.SHARE) {
            access.get(admin.listShareGroupOffsets(Map.of(old.groupId(), new ListShareGroupOffsetsSpec()))
                            .partitionsToOffsetInfo(old.groupId()))
                    .forEach((partition, info) -> {
                        if (info != null && info.startOffset() >= 0) {
                            // the start offset that a share group reports may be one write behind
                            boolean done = info.lag().orElse(-1L) == 0;
                            starts.put(
                                    partition,
                                    done ? ends.getOrDefault(partition, info.startOffset()) : info.startOffset());
                        }
                    });
        } else if (old != null && mode == IntakeMode.SHARE && isClassic(type)) {
            access.get(admin.listConsumerGroupOffsets(old.groupId()).partitionsToOffsetAndMetadata())
                    .forEach((partition, offset) -> starts.put(partition, offset.offset()));
        }
        return starts;
    }

    private static GroupType type(@Nullable GroupListing group) {
        return group == null ? GroupType.UNKNOWN : group.type().orElse(GroupType.UNKNOWN);
    }

    private static boolean isClassic(GroupType type) {
        return type == GroupType.CLASSIC || type == GroupType.CONSUMER;
    }

    private void move(
            KafkaAccess access,
            Admin admin,
            @Nullable GroupListing old,
            String group,
            String topic,
            IntakeMode mode,
            Map<String, Long> allStarts)
            throws Problem, InterruptedException {
        Map<TopicPartition, Long> starts = new TreeMap<>(Comparator.comparingInt(TopicPartition::partition));
        allStarts.forEach((place, start) -> {
            String[] parts = place.split("/", -1);
            if (parts[0].equals(topic)) {
                starts.put(new TopicPartition(topic, Integer.parseInt(parts[1])), start);
            }
        });
        if (mode == IntakeMode.CLASSIC && type(old) == GroupType.SHARE) {
            access.get(admin.deleteShareGroups(List.of(group)).all());
        } else if (mode == IntakeMode.SHARE && isClassic(type(old))) {
            access.get(admin.deleteConsumerGroups(List.of(group)).all());
        }
        if (starts.isEmpty()) {
            terminal.note("%s: nothing to move".formatted(group));
            return;
        }
        switch (mode) {
            case CLASSIC -> {
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                starts.forEach((partition, start) -> offsets.put(partition, new OffsetAndMetadata(start)));
                access.get(admin.alterConsumerGroupOffsets(group, offsets).all());
            }
            case SHARE -> {
                access.get(admin.incrementalAlterConfigs(ShareSupport.configure(group))
                        .all());
                access.get(admin.alterShareGroupOffsets(group, starts).all());
            }
        }
        terminal.note("%s: a %s group now, at %s".formatted(group, mode.wireName(), starts.values()));
    }

    private static String place(TopicPartition partition) {
        return partition.topic() + "/" + partition.partition();
    }

    private static SettingsVersion read(KafkaAccess access, String topic) throws Problem {
        try (KafkaConsumer<byte[], byte[]> reader = access.consumer()) {
            access.partitions(reader, topic);
            return SettingsTopic.read(reader, topic);
        } catch (KafkaException e) {
            throw access.problem(e);
        }
    }

    /** @return the version that is in force after the write */
    private static SettingsVersion write(KafkaAccess access, String topic, SettingsVersion before, ObjectNode changed)
            throws Problem, InterruptedException {
        try (KafkaProducer<byte[], byte[]> producer = access.producer()) {
            long offset = access.write(producer, new ProducerRecord<>(topic, 0, null, before.next(changed)))
                    .offset();
            SettingsVersion after = read(access, topic);
            if (after.number() != offset) {
                throw Problem.refused(
                        "another client changed the settings in %s meanwhile: run the command again".formatted(topic));
            }
            return after;
        }
    }
}
