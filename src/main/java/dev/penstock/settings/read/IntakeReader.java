package dev.penstock.settings.read;

import dev.penstock.job.Priority;
import dev.penstock.settings.Settings;
import dev.penstock.settings.source.PenstockConfig;
import dev.penstock.settings.source.TopicsConfig;
import dev.penstock.wire.record.IntakeMode;
import io.quarkus.runtime.configuration.MemorySize;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Reads the keys of the intake: the job topics, and the limits on the records in flight. */
final class IntakeReader {
    /** The default number of consumers for each topic, and of records in flight for each consumer. */
    private static final int SHAPE = 16;

    private final Mistakes mistakes;

    IntakeReader(Mistakes mistakes) {
        this.mistakes = mistakes;
    }

    Settings.Intake read(PenstockConfig config) {
        var intake = config.intake();
        mistakes.atLeast("intake.slots", intake.slots(), 1);
        mistakes.positive("intake.park", intake.park());
        long maxBytes = intake.maxBytes()
                .map(MemorySize::asLongValue)
                .orElse(Math.max(config.kafka().maxRecord(), LimitsReader.ofHeap()));
        if (maxBytes < config.kafka().maxRecord()) {
            mistakes.mistake(
                    "intake.max-bytes",
                    "must be at least kafka.max-record, %d"
                            .formatted(config.kafka().maxRecord()));
        }
        if (!(intake.lowShare() >= 0 && intake.lowShare() <= 1)) {
            mistakes.mistake("intake.low-share", "must lie between 0 and 1");
        }
        intake.consumers().ifPresent(consumers -> mistakes.atLeast("intake.consumers", consumers, 1));
        intake.batch().ifPresent(batch -> mistakes.atLeast("intake.batch", batch, 1));
        List<Settings.JobTopic> topics = topics(config);
        check(topics, config.topics());
        return new Settings.Intake(
                intake.enabled(),
                mode(intake.mode()),
                intake.slots(),
                shareClient(intake.shareClient()),
                intake.consumers().orElse(SHAPE),
                intake.batch().orElse(SHAPE),
                maxBytes,
                intake.park(),
                intake.lowShare(),
                List.copyOf(topics));
    }

    /** Returns a warning for each key that is set and has no effect with the configured share client. */
    static List<String> withoutEffect(PenstockConfig config) {
        var intake = config.intake();
        if (!intake.shareClient().equals(Settings.ShareClientKind.OWN.wireName())) {
            return List.of();
        }
        List<String> keys = new ArrayList<>();
        intake.consumers().ifPresent(_ -> keys.add("penstock.intake.consumers"));
        intake.batch().ifPresent(_ -> keys.add("penstock.intake.batch"));
        return keys.stream()
                .map(key ->
                        "%s has no effect: it only applies to penstock.intake.share-client: kafka. The next release refuses it"
                                .formatted(key))
                .toList();
    }

    private List<Settings.JobTopic> topics(PenstockConfig config) {
        var intake = config.intake();
        List<Settings.JobTopic> topics = new ArrayList<>();
        if (intake.topics().isEmpty()) {
            topics.add(new Settings.JobTopic(config.topics().jobsHigh(), Priority.HIGH, "default", intake.slots()));
            topics.add(new Settings.JobTopic(config.topics().jobs(), Priority.NORMAL, "default", intake.slots()));
            topics.add(new Settings.JobTopic(config.topics().jobsLow(), Priority.LOW, "default", intake.slots()));
        } else {
            for (int i = 0; i < intake.topics().get().size(); i++) {
                var topic = intake.topics().get().get(i);
                String key = "intake.topics[" + i + "]";
                topic.slots().ifPresent(slots -> mistakes.atLeast(key + ".slots", slots, 1));
                topics.add(new Settings.JobTopic(
                        topic.name(),
                        priority(key + ".priority", topic.priority()),
                        topic.tenant(),
                        topic.slots().orElse(intake.slots())));
            }
        }
        return topics;
    }

    /** Checks the names: no name occurs twice, and none is the name of an internal topic. */
    private void check(List<Settings.JobTopic> topics, TopicsConfig internal) {
        Set<String> names = new HashSet<>();
        List<String> internalNames = List.of(
                internal.deferred(),
                internal.replies(),
                internal.commands(),
                internal.dlq(),
                internal.settings(),
                internal.usage(),
                internal.webhooks());
        for (Settings.JobTopic topic : topics) {
            if (internalNames.contains(topic.name())) {
                mistakes.mistake(
                        "intake.topics",
                        "'%s' is the name of an internal topic (penstock.topics)".formatted(topic.name()));
            }
            if (!topic.name().matches("[a-zA-Z0-9._-]{1,249}")) {
                mistakes.mistake("intake.topics", "'%s' is no name of a Kafka topic".formatted(topic.name()));
            }
            if (!names.add(topic.name())) {
                mistakes.mistake("intake.topics", "'%s' is there twice".formatted(topic.name()));
            }
        }
    }

    private Settings.ShareClientKind shareClient(String given) {
        for (Settings.ShareClientKind kind : Settings.ShareClientKind.values()) {
            if (kind.wireName().equals(given)) {
                return kind;
            }
        }
        mistakes.mistake("intake.share-client", "'%s' is none of own, kafka".formatted(given));
        return Settings.ShareClientKind.OWN;
    }

    private Optional<IntakeMode> mode(String given) {
        Optional<IntakeMode> mode = IntakeMode.of(given);
        if (mode.isEmpty() && !given.equals("auto")) {
            mistakes.mistake("intake.mode", "'%s' is none of auto, share, classic".formatted(given));
        }
        return mode;
    }

    private Priority priority(String key, String value) {
        Optional<Priority> priority = Arrays.stream(Priority.values())
                .filter(known -> known.wireName().equals(value))
                .findFirst();
        if (priority.isEmpty()) {
            mistakes.mistake(key, "'%s' is none of high, normal, low".formatted(value));
        }
        return priority.orElse(Priority.NORMAL);
    }
}
