package dev.penstock.ledger.projector;

import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.row.JobRow;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * The cluster and the topics that a ledger belongs to. An offset has a meaning only in one topic of one cluster.
 *
 * <p>A ledger serves one cluster. If a topic was deleted and recreated, the ledger reads the new topic from its
 * beginning. The rows of the old topic stay valid, but they now contain a topic name that no Kafka topic can have. An
 * ended job of the old topic keeps its outcome and its id until the reply topic is recreated too. A job of the old
 * topic that has not started is lost.
 */
public record Origin(String clusterId, Map<String, UUID> topicIds) {
    /** Marks the name of a topic that does not exist any more. No Kafka topic has this character in its name. */
    private static final String GONE = "@";

    private static final int PAGE = 500;

    public Origin {
        topicIds = Map.copyOf(topicIds);
    }

    /**
     * The result of a comparison of the ledger with the topics.
     *
     * @param otherCluster the cluster that the ledger belongs to, if it is another one; then nothing was changed
     * @param madeAgain the topics that were recreated: they had another id
     */
    record Found(@Nullable String otherCluster, Set<String> madeAgain) {}

    /** Returns whether a topic in the ledger does not exist any more. */
    public static boolean isGone(String topic) {
        return topic.contains(GONE);
    }

    /** Returns the name that the topic had in Kafka. */
    public static String nameOf(String topic) {
        int end = topic.indexOf(GONE);
        return end < 0 ? topic : topic.substring(0, end);
    }

    /**
     * Adapts the ledger to the current topics.
     *
     * @param starts the first offset of each partition
     * @param replies the name of the reply topic
     */
    Found reconcile(Connection connection, Map<TopicPartition, Long> starts, String replies, long nowMillis)
            throws SQLException {
        String known = cluster(connection);
        if (known == null) {
            try (PreparedStatement insert =
                    connection.prepareStatement("INSERT INTO origin (cluster_id) VALUES (?) ON CONFLICT DO NOTHING")) {
                insert.setString(1, clusterId);
                insert.executeUpdate();
            }
        } else if (!known.equals(clusterId)) {
            return new Found(known, Set.of());
        }
        Map<String, String> before = Positions.topicIds(connection);
        Set<String> madeAgain = new HashSet<>();
        for (Map.Entry<String, UUID> topic : topicIds.entrySet()) {
            String id = before.get(topic.getKey());
            if (id != null && !id.equals(topic.getValue().toString())) {
                madeAgain.add(topic.getKey());
                if (!topic.getKey().equals(replies)) {
                    rename(connection, topic.getKey(), topic.getKey() + GONE + id);
                }
                Positions.restart(
                        connection,
                        topic.getKey(),
                        starts,
                        topicIds,
                        topic.getKey().equals(replies) ? nowMillis : 0);
            }
        }
        if (madeAgain.contains(replies)) {
            forgetEvents(connection);
        }
        if (!madeAgain.isEmpty()) {
            forgetWithoutTopics(connection);
        }
        Positions.adopt(connection, topicIds);
        return new Found(null, madeAgain);
    }

    private static @Nullable String cluster(Connection connection) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement("SELECT cluster_id FROM origin");
                ResultSet row = select.executeQuery()) {
            return row.next() ? row.getString(1) : null;
        }
    }

    private static void rename(Connection connection, String topic, String gone) throws SQLException {
        String last = "";
        while (true) {
            List<JobRow> page = new ArrayList<>();
            String end = last;
            try (PreparedStatement select = connection.prepareStatement(
                    "SELECT " + Rows.WITHOUT_OUTCOME + " FROM jobs WHERE id > ? ORDER BY id LIMIT " + PAGE)) {
                select.setString(1, last);
                try (ResultSet rows = select.executeQuery()) {
                    while (rows.next()) {
                        JobRow row = Rows.read(rows);
                        page.add(row);
                        end = row.id().value();
                    }
                }
            }
            if (page.isEmpty()) {
                return;
            }
            List<JobRow> changed = new ArrayList<>();
            for (JobRow row : page) {
                JobRow renamed = row.ofTopic(topic, gone);
                if (!renamed.equals(row)) {
                    changed.add(renamed);
                }
            }
            Rows.update(connection, changed);
            last = end;
        }
    }

    /**
     * Clears the offsets of all events, because they belong to the old reply topic. The contents of the events stay.
     */
    private static void forgetEvents(Connection connection) throws SQLException {
        try (Statement update = connection.createStatement()) {
            update.executeUpdate(
                    "UPDATE jobs SET applied_offset = -1, first_offset = NULL, outcome_offset = CASE WHEN outcome_offset IS NULL THEN NULL ELSE -1 END");
        }
    }

    /**
     * Deletes each ended job whose record and events were all in topics that do not exist any more. Its id becomes
     * free.
     */
    private static void forgetWithoutTopics(Connection connection) throws SQLException {
        String gone = "finished_ms IS NOT NULL AND applied_offset < 0 AND record_topic LIKE '%" + GONE + "%'";
        try (Statement delete = connection.createStatement()) {
            delete.executeUpdate("DELETE FROM requests WHERE id IN (SELECT id FROM jobs WHERE " + gone + ")");
            delete.executeUpdate("DELETE FROM jobs WHERE " + gone);
        }
    }

    /** Returns the partitions that contain open jobs, in topics that do not exist any more. */
    public static List<TopicPartition> gonePartitions(Connection connection) throws SQLException {
        List<TopicPartition> partitions = new ArrayList<>();
        try (PreparedStatement select = connection.prepareStatement(
                        "SELECT DISTINCT record_topic, record_partition FROM jobs WHERE finished_ms IS NULL AND created_ms IS NOT NULL AND record_topic LIKE '%"
                                + GONE + "%'");
                ResultSet rows = select.executeQuery()) {
            while (rows.next()) {
                partitions.add(new TopicPartition(rows.getString(1), rows.getInt(2)));
            }
        }
        return partitions;
    }
}
