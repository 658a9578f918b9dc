package dev.penstock.ledger.database;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * The offset up to which each partition has been projected. The positions are in the same database as the rows, and
 * change in the same transaction. If a projector finds that another projector has moved a position, it has lost the
 * partition and writes nothing.
 */
public final class Positions {
    private Positions() {}

    public static Map<TopicPartition, Long> all(Connection connection) throws SQLException {
        Map<TopicPartition, Long> positions = new HashMap<>();
        try (PreparedStatement select =
                        connection.prepareStatement("SELECT topic, topic_partition, next_offset FROM positions");
                ResultSet rows = select.executeQuery()) {
            while (rows.next()) {
                positions.put(new TopicPartition(rows.getString(1), rows.getInt(2)), rows.getLong(3));
            }
        }
        return positions;
    }

    /**
     * The offset up to which one partition has been projected.
     *
     * @param next the offset of the next record
     * @param topicId the id of the topic that the offset belongs to; null if it is not known
     */
    public record Position(long next, @Nullable String topicId) {}

    /** Returns all positions, each with the id of its topic. */
    public static Map<TopicPartition, Position> identified(Connection connection) throws SQLException {
        Map<TopicPartition, Position> positions = new HashMap<>();
        try (PreparedStatement select = connection.prepareStatement(
                        "SELECT topic, topic_partition, next_offset, topic_id FROM positions");
                ResultSet rows = select.executeQuery()) {
            while (rows.next()) {
                positions.put(
                        new TopicPartition(rows.getString(1), rows.getInt(2)),
                        new Position(rows.getLong(3), rows.getString(4)));
            }
        }
        return positions;
    }

    /** Returns the id of each topic whose positions have an id. */
    public static Map<String, String> topicIds(Connection connection) throws SQLException {
        Map<String, String> ids = new HashMap<>();
        identified(connection).forEach((partition, position) -> {
            if (position.topicId() != null) {
                ids.put(partition.topic(), position.topicId());
            }
        });
        return ids;
    }

    /** Adds the current topic id to each position without an id. */
    public static void adopt(Connection connection, Map<String, UUID> topicIds) throws SQLException {
        try (PreparedStatement update =
                connection.prepareStatement("UPDATE positions SET topic_id = ? WHERE topic = ? AND topic_id IS NULL")) {
            for (Map.Entry<String, UUID> topic : topicIds.entrySet()) {
                update.setString(1, topic.getValue().toString());
                update.setString(2, topic.getKey());
                update.executeUpdate();
            }
        }
    }

    /**
     * Replaces the positions of a recreated topic by the first offsets of the new topic.
     *
     * @param gapMillis the ledger may lack events of jobs from before this time; 0 if it has all
     */
    public static void restart(
            Connection connection,
            String topic,
            Map<TopicPartition, Long> starts,
            Map<String, UUID> topicIds,
            long gapMillis)
            throws SQLException {
        try (PreparedStatement delete = connection.prepareStatement("DELETE FROM positions WHERE topic = ?")) {
            delete.setString(1, topic);
            delete.executeUpdate();
        }
        Map<TopicPartition, Long> ofTopic = new HashMap<>(starts);
        ofTopic.keySet().removeIf(partition -> !partition.topic().equals(topic));
        begin(connection, ofTopic, topicIds);
        try (PreparedStatement gap = connection.prepareStatement("UPDATE positions SET gap_ms = ? WHERE topic = ?")) {
            gap.setLong(1, gapMillis);
            gap.setString(2, topic);
            gap.executeUpdate();
        }
    }

    /** Writes the first position of each partition that has none yet. */
    public static void begin(Connection connection, Map<TopicPartition, Long> starts, Map<String, UUID> topicIds)
            throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO positions (topic, topic_partition, next_offset, topic_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")) {
            for (Map.Entry<TopicPartition, Long> start : starts.entrySet()) {
                insert.setString(1, start.getKey().topic());
                insert.setInt(2, start.getKey().partition());
                insert.setLong(3, start.getValue());
                UUID topicId = topicIds.get(start.getKey().topic());
                insert.setString(4, topicId == null ? null : topicId.toString());
                insert.addBatch();
            }
            insert.executeBatch();
        }
    }

    /**
     * Moves a position to the current start of the partition, because the topic dropped records before they were
     * projected.
     */
    public static void jump(Connection connection, TopicPartition partition, long from, long to, long nowMillis)
            throws SQLException {
        try (PreparedStatement update = connection.prepareStatement(
                "UPDATE positions SET next_offset = ?, gap_ms = ? WHERE topic = ? AND topic_partition = ? AND next_offset = ?")) {
            update.setLong(1, to);
            update.setLong(2, nowMillis);
            update.setString(3, partition.topic());
            update.setInt(4, partition.partition());
            update.setLong(5, from);
            update.executeUpdate();
        }
    }

    /**
     * Returns the time of the last gap, for each partition that has one. In a gap, the topic dropped records before
     * they were projected, so the ledger may lack events of older jobs.
     */
    public static Map<TopicPartition, Long> gaps(Connection connection) throws SQLException {
        Map<TopicPartition, Long> gaps = new HashMap<>();
        try (PreparedStatement select = connection.prepareStatement(
                        "SELECT topic, topic_partition, gap_ms FROM positions WHERE gap_ms > 0");
                ResultSet rows = select.executeQuery()) {
            while (rows.next()) {
                gaps.put(new TopicPartition(rows.getString(1), rows.getInt(2)), rows.getLong(3));
            }
        }
        return gaps;
    }

    /**
     * Moves a position.
     *
     * @return false if another projector has moved it
     */
    public static boolean advance(Connection connection, TopicPartition partition, long from, long to)
            throws SQLException {
        try (PreparedStatement update = connection.prepareStatement(
                "UPDATE positions SET next_offset = ? WHERE topic = ? AND topic_partition = ? AND next_offset = ?")) {
            update.setLong(1, to);
            update.setString(2, partition.topic());
            update.setInt(3, partition.partition());
            update.setLong(4, from);
            return update.executeUpdate() == 1;
        }
    }
}
