package dev.penstock.ledger.projector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.TestLedgers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CatchUpTest {
    private static final String JOBS = "prompt-jobs";
    private static final TopicPartition JOBS_0 = new TopicPartition(JOBS, 0);
    private static final TopicPartition JOBS_1 = new TopicPartition(JOBS, 1);
    private static final UUID ID = new UUID(1, 1);
    private static final Duration LONG = Duration.ofSeconds(20);

    @TempDir
    private Path folder;

    private LedgerDatabase database;
    private final Map<TopicPartition, CatchUp.End> ends = new HashMap<>();
    private final List<String> asked = new ArrayList<>();

    @BeforeEach
    void open() throws Exception {
        database = TestLedgers.sqlite(folder.resolve("ledger.db"));
        database.write(connection -> {
            Positions.begin(connection, Map.of(JOBS_0, 5L), Map.of(JOBS, ID));
            return null;
        });
        ends.put(JOBS_0, new CatchUp.End(5, ID.toString()));
    }

    private CatchUp.Broker broker() {
        return new CatchUp.Broker() {
            @Override
            public CompletionStage<Map<TopicPartition, CatchUp.End>> ends(Collection<String> topics) {
                asked.addAll(topics);
                return CompletableFuture.completedFuture(Map.copyOf(ends));
            }

            @Override
            public void close() {
                // it has nothing
            }
        };
    }

    @Test
    void a_client_that_cannot_be_made_is_made_at_the_next_question() throws Exception {
        List<CatchUp.Broker> made = new ArrayList<>();
        CatchUp catchUp = new CatchUp(database, () -> {
            made.add(broker());
            if (made.size() == 1) {
                throw new KafkaException("Failed to create new KafkaAdminClient");
            }
            return made.getLast();
        });

        assertThatThrownBy(() -> catchUp.ends(List.of(JOBS), LONG))
                .isInstanceOf(TimeoutException.class)
                .hasMessageContaining("the broker did not report");
        assertThat(catchUp.ends(List.of(JOBS), LONG)).isEqualTo(ends);
        assertThat(catchUp.ends(List.of(JOBS), LONG)).isEqualTo(ends);

        assertThat(made).hasSize(2);
        assertThat(asked).containsExactly(JOBS, JOBS);
    }

    @Test
    void what_was_read_is_passed() throws Exception {
        CatchUp catchUp = new CatchUp(database, this::broker);

        assertThat(catchUp.await(catchUp.ends(List.of(JOBS), LONG), Duration.ZERO))
                .isTrue();
    }

    @Test
    void a_partition_that_was_added_is_waited_for() throws Exception {
        CatchUp catchUp = new CatchUp(database, this::broker);
        ends.put(JOBS_1, new CatchUp.End(1, ID.toString()));

        assertThat(catchUp.await(catchUp.ends(List.of(JOBS), LONG), Duration.ZERO))
                .as("the projection does not have it yet")
                .isFalse();
        database.write(connection -> {
            Positions.begin(connection, Map.of(JOBS_1, 1L), Map.of(JOBS, ID));
            return null;
        });

        assertThat(catchUp.await(catchUp.ends(List.of(JOBS), LONG), Duration.ZERO))
                .isTrue();
    }

    @Test
    void a_partition_that_has_nothing_is_not_waited_for() throws Exception {
        CatchUp catchUp = new CatchUp(database, this::broker);
        ends.put(JOBS_1, new CatchUp.End(0, ID.toString()));

        assertThat(catchUp.await(catchUp.ends(List.of(JOBS), LONG), Duration.ZERO))
                .isTrue();
    }

    @Test
    void a_position_of_an_earlier_topic_passes_nothing() throws Exception {
        CatchUp catchUp = new CatchUp(database, this::broker);
        ends.put(JOBS_0, new CatchUp.End(1, new UUID(2, 2).toString()));

        assertThat(catchUp.await(catchUp.ends(List.of(JOBS), LONG), Duration.ZERO))
                .as("5 of the old topic is not behind 1 of the new one")
                .isFalse();
    }
}
