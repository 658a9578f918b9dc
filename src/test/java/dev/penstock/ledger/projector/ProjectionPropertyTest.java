package dev.penstock.ledger.projector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Projection;
import dev.penstock.settings.read.TestSettings;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SortedMap;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Any interleaving of the partitions, any repeat from an earlier offset and any split over projectors gives the same
 * rows.
 */
class ProjectionPropertyTest {
    private static final Projection PROJECTION =
            new Projection(TestSettings.defaults(), Map.of("prompt-jobs", new UUID(1, 2)));

    private static final int CROWDED = 30;

    @TempDir
    private Path folder;

    @Test
    void in_sqlite() throws Exception {
        check(TestLedgers.sqlite(folder.resolve("ledger.db")), 2);
    }

    static void check(LedgerDatabase database, int rounds) throws Exception {
        int rows = 0;
        for (int seed = 0; seed < rounds; seed++) {
            Random random = new Random(seed);
            Topics topics = Topics.random(random, 12);
            if (seed % CROWDED == 0) {
                topics.crowd("crowd");
            }
            TestLedgers.empty(database);
            for (TopicPartition partition : topics.logs().keySet()) {
                apply(database, topics.log(partition));
            }
            List<String> wanted = TestLedgers.dump(database);
            rows += wanted.size();

            TestLedgers.empty(database);
            interleaved(database, topics, random);
            assertThat(TestLedgers.dump(database))
                    .as("interleaved, seed %d", seed)
                    .isEqualTo(wanted);

            TestLedgers.empty(database);
            split(database, topics, seed);
            assertThat(TestLedgers.dump(database)).as("split, seed %d", seed).isEqualTo(wanted);
        }
        System.out.printf("%s: %d rounds, %d rows, each three times the same%n", database.kind(), rounds, rows);
    }

    /** Any partition advances by a few records, and now and then returns to an earlier offset. */
    private static void interleaved(LedgerDatabase database, Topics topics, Random random) throws Exception {
        Map<TopicPartition, Integer> next = new HashMap<>();
        List<TopicPartition> open = new ArrayList<>(topics.logs().keySet());
        while (!open.isEmpty()) {
            TopicPartition partition = open.get(random.nextInt(open.size()));
            List<ConsumerRecord<byte[], byte[]>> log = topics.log(partition);
            int from = next.getOrDefault(partition, 0);
            if (from > 0 && random.nextInt(4) == 0) {
                from = random.nextInt(from);
            }
            int to = Math.min(log.size(), from + 1 + random.nextInt(5));
            apply(database, log.subList(from, to));
            next.merge(partition, to, Math::max);
            if (next.getOrDefault(partition, 0) == log.size()) {
                open.remove(partition);
            }
        }
    }

    /** Three projectors may take any partition at any moment, and only the fence keeps them apart. */
    private static void split(LedgerDatabase database, Topics topics, int seed) throws Exception {
        Map<TopicPartition, Long> beginnings = new HashMap<>();
        topics.logs().keySet().forEach(partition -> beginnings.put(partition, 0L));
        database.write(connection -> {
            Positions.begin(connection, beginnings, Map.of());
            return null;
        });
        try (var threads = Executors.newFixedThreadPool(3)) {
            List<Future<?>> projectors = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                Random random = new Random(seed * 31L + i);
                projectors.add(threads.submit(() -> {
                    project(database, topics, random);
                    return null;
                }));
            }
            for (Future<?> projector : projectors) {
                projector.get();
            }
        }
    }

    private static void project(LedgerDatabase database, Topics topics, Random random) throws Exception {
        List<TopicPartition> partitions = new ArrayList<>(topics.logs().keySet());
        while (true) {
            Map<TopicPartition, Long> positions = database.write(Positions::all);
            List<TopicPartition> open = partitions.stream()
                    .filter(partition -> positions.getOrDefault(partition, 0L)
                            < topics.log(partition).size())
                    .toList();
            if (open.isEmpty()) {
                return;
            }
            TopicPartition partition = open.get(random.nextInt(open.size()));
            List<ConsumerRecord<byte[], byte[]>> log = topics.log(partition);
            int from = positions.getOrDefault(partition, 0L).intValue();
            int to = Math.min(log.size(), from + 1 + random.nextInt(5));
            SortedMap<JobId, List<JobRow.Change>> changes = PROJECTION.changes(log.subList(from, to));
            database.write(connection -> {
                if (Positions.advance(connection, partition, from, to)) {
                    Rows.apply(connection, database.kind(), changes, Topics::replyPartition);
                }
                return null;
            });
        }
    }

    private static void apply(LedgerDatabase database, List<ConsumerRecord<byte[], byte[]>> records) throws Exception {
        SortedMap<JobId, List<JobRow.Change>> changes = PROJECTION.changes(records);
        database.write(connection -> {
            Rows.apply(connection, database.kind(), changes, Topics::replyPartition);
            return null;
        });
    }
}
