package dev.penstock.wire;

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

/** Whether a broker hands jobs out to share groups, as Penstock wants them. */
public final class ShareSupport {
    private static final String SETTING = "share.delivery.count.limit";
    private static final String FEATURE = "share.version";

    /**
     * What a share group has to be told before its first member joins: else it begins at the end of its topic, and hands out the
     * records of transactions that are open or aborted.
     */
    public static final Map<String, String> GROUP_SETTINGS =
            Map.of("share.auto.offset.reset", "earliest", "share.isolation.level", "read_committed");

    private ShareSupport() {}

    /** {@link #GROUP_SETTINGS} as a change of a group's settings. */
    public static Map<ConfigResource, Collection<AlterConfigOp>> configure(String group) {
        return Map.of(
                new ConfigResource(ConfigResource.Type.GROUP, group),
                GROUP_SETTINGS.entrySet().stream()
                        .map(setting -> new AlterConfigOp(
                                new ConfigEntry(setting.getKey(), setting.getValue()), AlterConfigOp.OpType.SET))
                        .toList());
    }

    /**
     * Kafka 4.3, where a group may have settings of its own for its deliveries, and the feature switched on: a cluster that came from
     * an older version may have it off.
     */
    public static boolean isThere(Admin admin, String group) throws InterruptedException, ExecutionException {
        ConfigResource asked = new ConfigResource(ConfigResource.Type.GROUP, group);
        try {
            Config config = admin.describeConfigs(List.of(asked)).all().get().get(asked);
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

    /** Whether a failure means that the broker does not know the question. */
    public static boolean isUnknownThere(@Nullable Throwable e) {
        return e instanceof UnsupportedVersionException || e instanceof InvalidRequestException;
    }
}
