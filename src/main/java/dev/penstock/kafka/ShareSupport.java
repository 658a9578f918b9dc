package dev.penstock.kafka;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.FinalizedVersionRange;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.jspecify.annotations.Nullable;

/** Decides whether a broker's share groups have the features that Penstock needs. */
public final class ShareSupport {
    private static final String SETTING = "share.delivery.count.limit";
    private static final String FEATURE = "share.version";

    /**
     * The settings that a share group needs before its first member joins. Without these settings, the group begins at
     * the end of its topic, and delivers records of open or aborted transactions.
     */
    public static final Map<String, String> GROUP_SETTINGS =
            Map.of("share.auto.offset.reset", "earliest", "share.isolation.level", "read_committed");

    private ShareSupport() {}

    /** Returns {@link #GROUP_SETTINGS} as a change of a group's settings. */
    public static Map<ConfigResource, Collection<AlterConfigOp>> configure(String group) {
        return Map.of(
                new ConfigResource(ConfigResource.Type.GROUP, group),
                GROUP_SETTINGS.entrySet().stream()
                        .map(setting -> new AlterConfigOp(
                                new ConfigEntry(setting.getKey(), setting.getValue()), AlterConfigOp.OpType.SET))
                        .toList());
    }

    /**
     * Returns whether share groups can be used. They need Kafka 4.3, in which a group can have its own settings for
     * deliveries. The feature must also be on; it may be off in a cluster that was upgraded from an older version.
     */
    public static boolean isThere(Admin admin, String group) throws InterruptedException, ExecutionException {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        try {
            Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
            if (config == null || config.get(SETTING) == null) {
                return false;
            }
            FinalizedVersionRange feature = admin.describeFeatures()
                    .featureMetadata()
                    .get()
                    .finalizedFeatures()
                    .get(FEATURE);
            return feature != null && feature.maxVersionLevel() > 0;
        } catch (ExecutionException e) {
            if (isUnknownThere(e.getCause())) {
                return false;
            }
            throw e;
        }
    }

    /** Returns whether a failure means that the broker does not know the request. */
    public static boolean isUnknownThere(@Nullable Throwable e) {
        return e instanceof UnsupportedVersionException || e instanceof InvalidRequestException;
    }
}
