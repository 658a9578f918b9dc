package dev.penstock.testkit;

import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producers of a topic in memory. */
public final class PlayedProducer {
    private PlayedProducer() {}

    /** Returns a producer whose records are written at once. */
    public static MockProducer<byte[], byte[]> of(String topic, int partitions) {
        return of(topic, partitions, true);
    }

    /** @param answers whether each record is written at once; otherwise when the test says so */
    public static MockProducer<byte[], byte[]> of(String topic, int partitions, boolean answers) {
        Node broker = new Node(1, "127.0.0.1", 1);
        Node[] all = {broker};
        List<PartitionInfo> infos = IntStream.range(0, partitions)
                .mapToObj(partition -> new PartitionInfo(topic, partition, broker, all, all))
                .toList();
        Cluster cluster = new Cluster("test", List.of(broker), infos, Set.of(), Set.of());
        return new MockProducer<>(cluster, answers, null, new ByteArraySerializer(), new ByteArraySerializer());
    }
}
