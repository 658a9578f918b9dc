package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.reply.WebhookTopic;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.RoundRobinPartitioner;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;

/** Events that are too large for a record are not published. */
class ReplySinkTest {
    private static final int MOST = 16 * 1024;

    private final MockProducer<byte[], byte[]> producer =
            new MockProducer<>(true, new RoundRobinPartitioner(), new ByteArraySerializer(), new ByteArraySerializer());
    private final ReplySink sink = new ReplySink(
            new JobReplies(
                    new ReplyTopic("replies", producer, MOST, () -> 1 << 30),
                    WebhookTopic.Announcement.NONE,
                    new JobId("j"),
                    "r",
                    null,
                    () -> 0),
            true,
            () -> true);

    private static JobEvent.Started started(int metadata) {
        return new JobEvent.Started(
                "gpu-a",
                "vllm",
                "llama",
                Instant.EPOCH,
                new RecordPlace("prompt-jobs", 0, 1),
                Map.of("a", "x".repeat(metadata)),
                null);
    }

    @Test
    void a_started_that_is_too_large_is_not_published_and_does_not_count() throws InterruptedException {
        sink.begin(1);

        assertThat(sink.started(started(2 * MOST))).isFalse();
        assertThat(sink.hasStarted()).isFalse();
        assertThat(producer.history()).isEmpty();

        assertThat(sink.started(started(1))).isTrue();
        assertThat(sink.hasStarted()).isTrue();
        assertThat(producer.history()).hasSize(1);
    }

    @Test
    void only_a_run_that_is_counted_already_or_is_the_first_may_start_late() throws InterruptedException {
        sink.begin(1);
        assertThat(sink.mayStartLate()).as("a recovered run").isFalse();

        sink.started(started(1));
        assertThat(sink.mayStartLate()).as("its next attempt").isTrue();

        ReplySink first = new ReplySink(
                new JobReplies(
                        new ReplyTopic("replies", producer, MOST, () -> 1 << 30),
                        WebhookTopic.Announcement.NONE,
                        new JobId("j"),
                        "s",
                        null,
                        () -> 0),
                false,
                () -> true);
        assertThat(first.mayStartLate()).as("a first run").isTrue();
    }

    @Test
    void a_chunk_is_cut_where_it_can_be() {
        Answer.Head head = new Answer.Head("chatcmpl-1", 1, "llama", Task.CHAT);
        sink.begin(1);

        assertThat(sink.chunk(head, List.of(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "x".repeat(3 * MOST)))))
                .isTrue();
        int pieces = producer.history().size();
        assertThat(pieces).isGreaterThan(2);
        assertThat(sink.chunk(head, List.of(new TokenEvent.Thinking(0, Map.of("thinking", "x".repeat(2 * MOST))))))
                .isFalse();
        assertThat(producer.history()).hasSize(pieces);
    }

    @Test
    void the_failure_names_the_limit() {
        assertThat(sink.tooLarge("a part of the answer cannot be cut")).satisfies(failure -> {
            assertThat(failure.code()).isEqualTo(JobFailure.Code.TOO_LARGE);
            assertThat(failure.message()).contains("a part of the answer cannot be cut", "penstock.kafka.max-record");
        });
    }
}
