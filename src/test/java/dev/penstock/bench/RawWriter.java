package dev.penstock.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.record.EventHeaders;
import java.io.IOException;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;

/** What a raw loop writes for a job. Thread-safe. */
sealed interface RawWriter {
    /** Begins a job. */
    Job begin(String id, ConsumerRecord<byte[], byte[]> record);

    /** A job of the loop. One thread owns it. */
    interface Job {
        /** @param written called when the last record of the job is on the broker */
        void answered(String text, Callback written) throws IOException;
    }

    static RawWriter of(String kind, KafkaProducer<byte[], byte[]> producer, String topic) {
        return switch (kind) {
            case "record" -> new OneRecord(producer, topic);
            case "events" -> new SameEvents(producer, topic, Clock.systemUTC());
            default -> throw new IllegalArgumentException(kind);
        };
    }

    /** One record with the text of the answer. */
    record OneRecord(KafkaProducer<byte[], byte[]> producer, String topic) implements RawWriter {
        private static final ObjectMapper JSON = JsonMapper.builder().build();

        @Override
        public Job begin(String id, ConsumerRecord<byte[], byte[]> record) {
            return (text, written) -> {
                byte[] answer = JSON.writeValueAsBytes(Map.of("text", text));
                var _ = producer.send(new ProducerRecord<>(topic, EventHeaders.utf8(id), answer), written);
            };
        }
    }

    /** Penstock's events of a job that succeeds: started, one chunk, completed. Keys, headers and values are the same. */
    record SameEvents(KafkaProducer<byte[], byte[]> producer, String topic, Clock clock) implements RawWriter {
        private static final String NODE = "fake";
        private static final String BACKEND = "vllm";
        private static final String MODEL = "tiny";

        @Override
        public Job begin(String id, ConsumerRecord<byte[], byte[]> record) {
            JobId job = new JobId(id);
            byte[] key = EventHeaders.utf8(id);
            String run = EventMark.newRun();
            Instant begun = clock.instant();
            RecordPlace place = new RecordPlace(record.topic(), record.partition(), record.offset());
            send(
                    job,
                    key,
                    mark(EventMark.Kind.STARTED, run, 0),
                    new JobEvent.Started(NODE, BACKEND, MODEL, begun, place, Map.of(), null),
                    null);
            return (text, written) -> {
                Answer answer = answer(id, begun, text);
                send(
                        job,
                        key,
                        mark(EventMark.Kind.CHUNK, run, 1),
                        new JobEvent.Chunk(answer.head(), answer.asDeltas()),
                        null);
                send(job, key, mark(EventMark.Kind.COMPLETED, run, 2), completed(answer, begun), written);
            };
        }

        private static EventMark mark(EventMark.Kind kind, String run, long seq) {
            return new EventMark(kind, 1, run, seq);
        }

        private static Answer answer(String id, Instant begun, String text) {
            Answer.Head head = new Answer.Head("chatcmpl-" + id, begun.getEpochSecond(), MODEL, Task.CHAT);
            Answer.Builder builder = new Answer.Builder();
            builder.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text));
            builder.add(new TokenEvent.Finish(0, "stop"));
            builder.add(new TokenEvent.Spent(new Usage(250, 8)));
            return builder.build(head);
        }

        private JobEvent.Completed completed(Answer answer, Instant begun) {
            long millis = clock.millis() - begun.toEpochMilli();
            return new JobEvent.Completed(
                    answer,
                    false,
                    new JobEvent.Execution(NODE, BACKEND, MODEL, 0, millis, millis, 1, List.of(), List.of(), null, 0),
                    Map.of());
        }

        private void send(JobId job, byte[] key, EventMark mark, JobEvent event, @Nullable Callback written) {
            var _ = producer.send(
                    new ProducerRecord<>(
                            topic,
                            null,
                            null,
                            key,
                            EventDocument.write(job, mark, event),
                            EventHeaders.of(key, mark, null)),
                    written);
        }
    }
}
