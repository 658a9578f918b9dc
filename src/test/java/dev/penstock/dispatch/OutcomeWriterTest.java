package dev.penstock.dispatch;

import static dev.penstock.reply.WebhookTopic.Announcement.NONE;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.execution.Outcome;
import dev.penstock.execution.StopSignal;
import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.clients.producer.RoundRobinPartitioner;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** An outcome is on the topic only after all events before it. */
@Timeout(60)
class OutcomeWriterTest {
    private static final int ROOM = 40_000;
    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-1", 1, "m", Task.CHAT);

    private final AtomicLong nanos = new AtomicLong();
    private final AtomicInteger brokerTakes = new AtomicInteger(ROOM + 100_000);
    private final List<JsonNode> topic = Collections.synchronizedList(new ArrayList<>());
    private final StopSignal signal = new StopSignal();
    private final FakeDelivery delivery = new FakeDelivery();
    private final Broker broker = new Broker();
    private final ReplyTopic log = new ReplyTopic("replies", broker, ROOM, brokerTakes::get);
    private final JobReplies replies = new JobReplies(log, NONE, new JobId("j"), "run1", null, nanos::get);

    /** An event that the broker has not answered yet. */
    private record Held(ProducerRecord<byte[], byte[]> record, Callback callback) {
        String event() {
            return new String(record.headers().lastHeader("event").value(), StandardCharsets.UTF_8);
        }

        void fail(Exception failure) {
            callback.onCompletion(null, failure);
        }
    }

    /** Takes what is small enough; a test may set its answers. */
    private final class Broker extends MockProducer<byte[], byte[]> {
        private final AtomicInteger failures = new AtomicInteger();
        private final BlockingQueue<Held> held = new LinkedBlockingQueue<>();
        private volatile boolean holds;

        Broker() {
            super(true, new RoundRobinPartitioner(), new ByteArraySerializer(), new ByteArraySerializer());
        }

        @Override
        public synchronized Future<RecordMetadata> send(
                ProducerRecord<byte[], byte[]> record, @Nullable Callback callback) {
            Callback told = callback == null ? (_, _) -> {} : callback;
            if (record.value().length + 300 > brokerTakes.get()) {
                told.onCompletion(null, new RecordTooLargeException("too large"));
                return CompletableFuture.failedFuture(new RecordTooLargeException("too large"));
            }
            if (failures.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
                told.onCompletion(null, new TimeoutException("no answer"));
                return CompletableFuture.failedFuture(new TimeoutException("no answer"));
            }
            if (holds) {
                held.add(new Held(record, told));
                return new CompletableFuture<>();
            }
            return write(record, told);
        }

        private Future<RecordMetadata> write(ProducerRecord<byte[], byte[]> record, Callback told) {
            topic.add(Json.parseLenient(new String(record.value(), StandardCharsets.UTF_8)));
            return super.send(record, told);
        }

        /** Waits for the next event that is sent, and leaves it unanswered. */
        Held next(String event) throws InterruptedException {
            Held next = held.take();
            assertThat(next.event()).isEqualTo(event);
            return next;
        }

        void take(Held sent) {
            var _ = write(sent.record(), sent.callback());
        }
    }

    @Test
    void one_delta_larger_than_a_record_is_cut_and_the_answer_completed() throws Exception {
        String text = "x😀\u0001".repeat(50_000);
        begin();
        assertThat(replies.send(chunk(text))).isTrue();
        Outcome published = word(true).publish(completed(text));

        assertThat(published).isNotNull();
        assertThat(events()).startsWith("started").endsWith("completed").doesNotContain("failed");
        assertGapless();
        assertThat(text()).isEqualTo(text);
        assertThat(last().path("job").path("truncated").asBoolean()).isTrue();
    }

    @Test
    void without_chunks_asked_for_too_long_a_text_stands_in_chunks() throws Exception {
        String text = "x".repeat(300_000);
        begin();

        word(false).publish(completed(text));

        assertThat(text()).isEqualTo(text);
        assertThat(last().path("job").path("event").asText()).isEqualTo("completed");
        assertGapless();
    }

    @Test
    void what_cannot_be_cut_fails_before_any_other_outcome() throws Exception {
        begin();
        Answer.Builder answer = new Answer.Builder();
        answer.add(new TokenEvent.Thinking(0, Map.of("thinking", "x".repeat(2 * ROOM))));

        word(false).publish(completed(answer.build(HEAD)));

        assertThat(events()).containsExactly("started", "failed");
        assertThat(last().path("error").path("code").asText()).isEqualTo("too_large");
        assertThat(last().path("error").path("message").asText()).contains("penstock.kafka.max-record");
    }

    @Test
    void vectors_larger_than_a_record_fail_and_say_the_limit() throws Exception {
        begin();
        Answer answer = new Answer(
                new Answer.Head("e", 1, "m", Task.EMBEDDINGS), List.of(), List.of("A".repeat(2 * ROOM)), Usage.NONE);

        word(true).publish(completed(answer));

        assertThat(events()).containsExactly("started", "failed");
        assertThat(last().path("error").path("message").asText()).contains("the embeddings have 80", "max-record");
    }

    /** The broker reports it only after the chunk was sent. */
    @Test
    void a_topic_that_takes_less_is_asked_and_the_answer_cut_to_it() throws Exception {
        String text = "x".repeat(30_000);
        begin();
        brokerTakes.set(16_384);
        replies.send(chunk(text));

        word(true).publish(completed(text));

        assertThat(events()).containsOnlyOnce("completed").doesNotContain("failed");
        assertThat(last().path("job").path("attempt").asInt()).isEqualTo(2);
        assertThat(textOf(2)).isEqualTo(text);
    }

    @Test
    void no_outcome_follows_a_chunk_that_the_broker_did_not_take() throws Exception {
        begin();
        broker.failures.set(1);
        replies.send(chunk("lost"));

        word(true).publish(completed("lost"));

        assertThat(topic.stream()
                        .map(event -> event.path("job").path("attempt").asInt() + " "
                                + event.path("job").path("event").asText()))
                .containsExactly("1 started", "2 started", "2 chunk", "2 completed");
    }

    @Test
    void an_outcome_follows_its_small_chunk_before_the_broker_answers() throws Exception {
        begin();
        broker.holds = true;
        replies.send(chunk("Hi"));

        CompletableFuture<@Nullable Outcome> published = publishing("Hi");
        Held chunk = broker.next("chunk");
        Held completed = broker.next("completed");
        assertThat(published).isNotDone();
        broker.take(chunk);
        assertThat(published).isNotDone();
        broker.take(completed);

        assertThat(published.get()).isNotNull();
        assertThat(events()).containsExactly("started", "chunk", "completed");
        assertGapless();
    }

    /** The broker did not answer the batch with both. */
    @Test
    void an_outcome_that_fails_with_its_chunk_is_published_as_a_new_attempt_and_now_waits() throws Exception {
        begin();
        broker.holds = true;
        replies.send(chunk("Hi"));

        CompletableFuture<@Nullable Outcome> published = publishing("Hi");
        Held chunk = broker.next("chunk");
        Held completed = broker.next("completed");
        chunk.fail(new TimeoutException("no answer"));
        completed.fail(new TimeoutException("no answer"));

        Held startedAgain = broker.next("started");
        Held chunkAgain = broker.next("chunk");
        assertThat(broker.held).isEmpty();
        broker.take(startedAgain);
        broker.take(chunkAgain);
        broker.take(broker.next("completed"));

        assertThat(published.get()).isNotNull();
        assertThat(last().path("job").path("attempt").asInt()).isEqualTo(2);
        assertThat(textOf(2)).isEqualTo("Hi");
        assertThat(events()).containsExactly("started", "started", "chunk", "completed");
    }

    /** It has closed the job: a later attempt would be void. */
    @Test
    void an_outcome_on_the_broker_stands_alone_if_its_chunk_failed() throws Exception {
        begin();
        broker.holds = true;
        replies.send(chunk("Hi"));

        CompletableFuture<@Nullable Outcome> published = publishing("Hi");
        Held chunk = broker.next("chunk");
        Held completed = broker.next("completed");
        chunk.fail(new TimeoutException("no answer"));
        broker.take(completed);

        assertThat(published.get()).isNotNull();
        assertThat(events()).containsExactly("started", "completed");
        assertThat(last().path("choices")
                        .path(0)
                        .path("message")
                        .path("content")
                        .asText())
                .isEqualTo("Hi");
        assertThat(broker.held).isEmpty();
    }

    /** The chunk is old, or it does not fit into one batch with the outcome, or it is larger than the outcome. */
    @ParameterizedTest
    @CsvSource({"2, 2, 1000", "8000, 8000, 0", "2000, 2, 0"})
    void an_outcome_waits_for_other_chunks(int chunkChars, int answerChars, int ageMillis) throws Exception {
        begin();
        broker.holds = true;
        replies.send(chunk("x".repeat(chunkChars)));
        nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(ageMillis));

        CompletableFuture<@Nullable Outcome> published = new CompletableFuture<>();
        Thread writer = Thread.ofPlatform().start(() -> publish("x".repeat(answerChars), published));
        Held chunk = broker.next("chunk");
        while (writer.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        assertThat(broker.held).isEmpty();
        broker.take(chunk);
        broker.take(broker.next("completed"));
        assertThat(published.get()).isNotNull();
    }

    private CompletableFuture<@Nullable Outcome> publishing(String text) {
        CompletableFuture<@Nullable Outcome> published = new CompletableFuture<>();
        Thread.ofVirtual().start(() -> publish(text, published));
        return published;
    }

    private void publish(String text, CompletableFuture<@Nullable Outcome> published) {
        try {
            published.complete(word(true).publish(completed(text)));
        } catch (InterruptedException | RuntimeException e) {
            published.completeExceptionally(e);
        }
    }

    @Test
    void metadata_and_text_that_are_too_much_for_the_topic_are_left_out_of_the_failure() throws Exception {
        begin();
        String tooMuch = "x".repeat(2 * ROOM);
        JobFailure.Misfit misfit = new JobFailure.Misfit(tooMuch, List.of(new JobFailure.Misfit.Violation("/a", "b")));
        JobEvent failed = new JobEvent.Failed(JobFailure.misfit("why", misfit), null, Map.of("a", tooMuch));

        word(true).publish(Outcome.withoutAttempt(failed));

        assertThat(events()).containsExactly("started", "failed");
        assertThat(last().path("error").path("message").asText()).isEqualTo("why");
        assertThat(last().path("error").has("text")).isFalse();
        assertThat(last().at("/error/violations/0/path").asText()).isEqualTo("/a");
    }

    /**
     * The drain ends while the broker is away: the run stops its attempts to publish, and its record is handed back.
     */
    @Test
    void a_replica_that_ends_says_an_outcome_once_and_no_more() throws Exception {
        begin();
        broker.failures.set(Integer.MAX_VALUE);
        signal.stop(StopSignal.Reason.SHUTDOWN);

        assertThat(word(true).publish(completed("x"))).isNull();
        assertThat(events()).containsExactly("started");
    }

    /** The drain begins while the broker has the outcome: the run waits for it, and it counts. */
    @Test
    void an_outcome_that_is_on_its_way_when_the_replica_ends_is_waited_for() throws Exception {
        begin();
        signal.stop(StopSignal.Reason.SHUTDOWN);

        assertThat(word(true).publish(completed("x"))).isNotNull();
        assertThat(events()).containsExactly("started", "completed");
    }

    private void begin() throws InterruptedException {
        replies.begin(1);
        replies.send(started());
        assertThat(replies.awaitSent()).isTrue();
    }

    private OutcomeWriter word(boolean streams) {
        return new OutcomeWriter(replies, streams, delivery, signal, TestSettings.defaults());
    }

    private static JobEvent.Started started() {
        return new JobEvent.Started("n", "vllm", "m", Instant.EPOCH, new RecordPlace("t", 0, 1), Map.of(), null);
    }

    private static JobEvent.Chunk chunk(String text) {
        return new JobEvent.Chunk(HEAD, List.of(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text)));
    }

    private static Outcome completed(String text) {
        Answer.Builder answer = new Answer.Builder();
        answer.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text));
        return completed(answer.build(HEAD));
    }

    private static Outcome completed(Answer answer) {
        var execution = new JobEvent.Execution("n", "vllm", "m", 1, 2L, 3, 1, List.of(), List.of(), null, 0);
        return new Outcome(new JobEvent.Completed(answer, false, execution, Map.of()), started(), answer, null);
    }

    private List<String> events() {
        return topic.stream()
                .map(event -> event.path("job").path("event").asText())
                .toList();
    }

    private JsonNode last() {
        return topic.getLast();
    }

    private String text() {
        return textOf(1);
    }

    private String textOf(int attempt) {
        StringBuilder text = new StringBuilder();
        topic.stream()
                .filter(event -> event.path("job").path("attempt").asInt() == attempt)
                .filter(event -> event.path("job").path("event").asText().equals("chunk"))
                .forEach(event ->
                        text.append(event.at("/choices/0/delta/content").asText()));
        return text.toString();
    }

    private void assertGapless() {
        for (int i = 0; i < topic.size(); i++) {
            assertThat(topic.get(i).path("job").path("seq").asInt()).isEqualTo(i);
        }
    }
}
