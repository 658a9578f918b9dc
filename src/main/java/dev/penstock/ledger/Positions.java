package dev.penstock.ledger;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;

/**
 * How far each partition has been projected. They lie beside the rows and move in their transaction; a projector that finds
 * one moved by somebody else has lost the partition, and writes nothing.
 */
final class Positions {
    private Positions() {}

    static Map<TopicPartition, Long> all(Connection connection) throws SQLException {
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

    /** Where there is none yet. */
    static void begin(Connection connection, Map<TopicPartition, Long> starts) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO positions (topic, topic_partition, next_offset) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")) {
            for (Map.Entry<TopicPartition, Long> start : starts.entrySet()) {
                insert.setString(1, start.getKey().topic());
                insert.setInt(2, start.getKey().partition());
                insert.setLong(3, start.getValue());
                insert.addBatch();
            }
            insert.executeBatch();
        }
    }

    /** @return false where somebody else has moved it */
    static boolean advance(Connection connection, TopicPartition partition, long from, long to) throws SQLException {
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
