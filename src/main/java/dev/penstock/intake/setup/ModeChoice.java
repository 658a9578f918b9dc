package dev.penstock.intake.setup;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.ShareSupport;
import dev.penstock.settings.Settings;
import dev.penstock.settings.topic.SettingsLog;
import dev.penstock.wire.record.IntakeMode;
import dev.penstock.wire.record.MigrateLine;
import dev.penstock.wire.record.SettingsVersion;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;

/**
 * Decides the intake mode. The first start decides it and writes it to the settings topic. Later, only {@code
 * penstock intake migrate} changes the mode, because a share group and a consumer group do not know each other's
 * finished records.
 */
public final class ModeChoice {
    private static final Logger LOG = Logger.getLogger(ModeChoice.class);

    private final Settings settings;
    private final KafkaClients kafka;
    private final SettingsLog log;

    public ModeChoice(Settings settings, KafkaClients kafka) {
        this.settings = settings;
        this.kafka = kafka;
        log = new SettingsLog(kafka, settings);
    }

    /**
     * @param recoverBelow for each partition, the offset below which records may have run in the other mode; the keys
     *     have the form topic/partition
     * @param warnings the warnings about groups of other installations that read the same topics, by the group
     */
    public record Chosen(IntakeMode mode, Map<String, Long> recoverBelow, Map<String, String> warnings) {
        public boolean mayHaveRun(String topic, int partition, long offset) {
            return offset < recoverBelow.getOrDefault(topic + "/" + partition, 0L);
        }
    }

    /** @throws KafkaException the broker cannot be reached now */
    public Chosen choose() throws InterruptedException, TopicSetup.Unusable {
        try {
            Admin admin = kafka.admin();
            Collection<GroupListing> all = listed(admin);
            Map<String, GroupListing> groups = ours(all);
            SettingsVersion version = log.read();
            refuseBrokenOff(version);
            IntakeMode mode = version.intakeMode().orElse(null);
            if (mode == null) {
                IntakeMode first = first(admin, groups.values());
                if (settings.intake().enabled()) {
                    version = log.change(current ->
                            current.intakeMode().isPresent() || current.moving().isPresent()
                                    ? current.settings()
                                    : current.withIntake(first, Map.of()));
                    refuseBrokenOff(version);
                    mode = version.intakeMode().orElse(first);
                    LOG.infof("jobs are taken in %s mode from now on", mode.wireName());
                } else {
                    mode = first;
                }
            }
            IntakeMode configured = settings.intake().mode().orElse(mode);
            if (configured != mode) {
                throw new TopicSetup.Unusable(
                        "penstock.intake.mode is %s, but jobs of these topics are taken in %s mode (topic %s). Stop every replica, then: %s"
                                .formatted(
                                        configured.wireName(),
                                        mode.wireName(),
                                        settings.topics().settings(),
                                        migrate(configured)));
            }
            refuseOthers(groups.values(), mode);
            return new Chosen(mode, version.recoverBelow(), takenByOthers(all));
        } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException known ? known : new KafkaException(e);
        }
    }

    private void refuseBrokenOff(SettingsVersion version) throws TopicSetup.Unusable {
        SettingsVersion.Moving moving = version.moving().orElse(null);
        if (moving != null) {
            throw new TopicSetup.Unusable("penstock intake migrate broke off on the way to %s mode. Run it again: %s"
                    .formatted(moving.to().wireName(), migrate(moving.to())));
        }
    }

    private void refuseOthers(Collection<GroupListing> groups, IntakeMode mode) throws TopicSetup.Unusable {
        for (GroupListing group : groups) {
            if (modeOf(group).filter(other -> other != mode).isPresent()) {
                throw new TopicSetup.Unusable(
                        "group %s is a %s group, but jobs are taken in %s mode. Stop its members, then: %s"
                                .formatted(
                                        group.groupId(),
                                        group.type().map(GroupType::toString).orElse("?"),
                                        mode.wireName(),
                                        migrate(mode)));
            }
        }
    }

    private IntakeMode first(Admin admin, Collection<GroupListing> groups)
            throws InterruptedException, ExecutionException {
        if (settings.intake().mode().isPresent()) {
            return settings.intake().mode().get();
        }
        for (GroupListing group : groups) {
            Optional<IntakeMode> known = modeOf(group);
            if (known.isPresent()) {
                return known.get();
            }
        }
        return ShareSupport.isThere(
                        admin, settings.group(settings.intake().topics().getFirst()))
                ? IntakeMode.SHARE
                : IntakeMode.CLASSIC;
    }

    private static Optional<IntakeMode> modeOf(GroupListing group) {
        return switch (group.type().orElse(GroupType.UNKNOWN)) {
            case SHARE -> Optional.of(IntakeMode.SHARE);
            case CLASSIC, CONSUMER -> Optional.of(IntakeMode.CLASSIC);
            default -> Optional.empty();
        };
    }

    /** Returns the command that migrates to a mode, with the names of this installation. */
    private String migrate(IntakeMode to) {
        return MigrateLine.of(
                kafka.bootstrapServers(),
                to,
                settings.intake().topics().stream().map(Settings.JobTopic::name).toList(),
                settings.topics().deferred(),
                settings.topics().settings(),
                settings.groups());
    }

    /**
     * Returns a warning for each group with another prefix that reads the same topic, because each job would then run
     * twice.
     */
    private Map<String, String> takenByOthers(Collection<GroupListing> all) {
        Map<String, String> warnings = new HashMap<>();
        Set<String> own = ours(all).keySet();
        for (Settings.JobTopic topic : settings.intake().topics()) {
            all.stream()
                    .map(GroupListing::groupId)
                    .filter(group -> !own.contains(group) && settings.groups().isOthers(group, topic.name()))
                    .forEach(group -> warnings.put(
                            "group." + group,
                            "group %s takes the jobs of %s too: a job runs once for it and once for %s. Give each installation topics of its own (penstock.topics). Where it is the group of an earlier penstock.groups-prefix, set that again, or delete it: kafka-share-groups or kafka-consumer-groups, --bootstrap-server %s --delete --group %s"
                                    .formatted(
                                            group,
                                            topic.name(),
                                            settings.group(topic),
                                            kafka.bootstrapServers(),
                                            group)));
        }
        return warnings;
    }

    private Map<String, GroupListing> ours(Collection<GroupListing> all) {
        Map<String, GroupListing> ours = new HashMap<>();
        List<String> names =
                settings.intake().topics().stream().map(settings::group).toList();
        all.stream()
                .filter(group -> names.contains(group.groupId()))
                .forEach(group -> ours.put(group.groupId(), group));
        return ours;
    }

    /** Returns all groups of the broker, of any kind. */
    private static Collection<GroupListing> listed(Admin admin) throws InterruptedException, ExecutionException {
        try {
            return admin.listGroups().all().get();
        } catch (ExecutionException e) {
            if (!ShareSupport.isUnknownThere(e.getCause())) {
                throw e;
            }
            return List.of();
        }
    }
}
