package dev.penstock.chaos;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobId;
import dev.penstock.testkit.Rest;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.CommandDocument;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Jobs of all kinds on the three topics and over REST. Some are sent twice, some are cancelled, some have a deadline,
 * and some are no jobs.
 */
final class Load implements AutoCloseable {
    static final List<String> TOPICS = List.of("prompt-jobs-high", "prompt-jobs", "prompt-jobs-low");

    private final Installation installation;
    private final Random random;
    private final int meanPauseMillis;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Map<String, Kind> accepted = new ConcurrentHashMap<>();
    private final Thread thread;
    private final List<Thread> submissions = new CopyOnWriteArrayList<>();
    private volatile boolean stopping;

    /** The expected result of a job. */
    enum Kind {
        /** It completes. */
        PLAIN,
        /** It was sent twice. It completes once. */
        TWICE,
        /** It completes, or is cancelled. */
        CANCELLED,
        /** It completes, or expires. */
        HURRIED,
        /** It is refused. */
        MALFORMED
    }

    private Load(Installation installation, long seed, int meanPauseMillis) {
        this.installation = installation;
        this.meanPauseMillis = meanPauseMillis;
        random = new Random(seed);
        producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", installation.bootstrap()),
                new ByteArraySerializer(),
                new ByteArraySerializer());
        thread = Thread.ofPlatform().daemon().name("load").unstarted(this::run);
    }

    /** @param meanPauseMillis the mean pause after a job */
    static Load start(Installation installation, long seed, int meanPauseMillis) {
        Load load = new Load(installation, seed, meanPauseMillis);
        load.thread.start();
        return load;
    }

    private void run() {
        try {
            for (int number = 0; !stopping; number++) {
                one("job-" + number);
                TimeUnit.MILLISECONDS.sleep(random.nextInt(2 * meanPauseMillis));
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private void one(String id) throws InterruptedException {
        int dice = random.nextInt(100);
        Kind kind = dice < 70
                ? Kind.PLAIN
                : dice < 78 ? Kind.TWICE : dice < 86 ? Kind.CANCELLED : dice < 94 ? Kind.HURRIED : Kind.MALFORMED;
        String topic = TOPICS.get(random.nextInt(TOPICS.size()));
        byte[] document = document(id, kind);
        if (kind == Kind.PLAIN && random.nextInt(3) == 0) {
            URI replica = installation.replica(random).url();
            submissions.add(Thread.ofVirtual().start(() -> submit(replica, id, document)));
            return;
        }
        send(id, kind, topic, document);
        switch (kind) {
            case TWICE -> send(id, kind, topic, document);
            case CANCELLED -> {
                TimeUnit.MILLISECONDS.sleep(random.nextInt(100));
                var _ = producer.send(new ProducerRecord<>("prompt-commands", CommandDocument.cancel(new JobId(id))));
            }
            case PLAIN, HURRIED, MALFORMED -> {}
        }
    }

    private byte[] document(String id, Kind kind) {
        ObjectNode document = Json.mapper().createObjectNode();
        document.putArray("messages").addObject().put("role", "user").put("content", "x");
        ObjectNode job = document.putObject("job").put("id", id);
        document.put("stream", random.nextInt(5) > 0);
        switch (kind) {
            case HURRIED -> job.put("deadline", "PT%dS".formatted(1 + random.nextInt(5)));
            case MALFORMED -> job.put("priorty", "high");
            case PLAIN, TWICE, CANCELLED -> {}
        }
        return Json.bytes(document);
    }

    private void send(String id, Kind kind, String topic, byte[] document) {
        var _ = producer.send(new ProducerRecord<>(topic, document), (_, failure) -> {
            if (failure == null) {
                accepted.put(id, kind);
            }
        });
    }

    /** A job with the answer 202 must get an outcome. The fate of any other is unknown. */
    private void submit(URI replica, String id, byte[] document) {
        try {
            Rest.Reply answer =
                    Rest.post(replica, "/v1/jobs", "application/json", new String(document, StandardCharsets.UTF_8));
            if (answer.status() == 202) {
                accepted.put(id, Kind.PLAIN);
            }
        } catch (UncheckedIOException _) {
            // the replica was killed
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    /** Stops sending. When it returns, the sent jobs are on the broker, or are not counted. */
    void stop() throws InterruptedException {
        stopping = true;
        thread.join();
        for (Thread submission : submissions) {
            submission.join();
        }
        producer.flush();
    }

    Map<String, Kind> accepted() {
        return Map.copyOf(accepted);
    }

    @Override
    public void close() {
        stopping = true;
        producer.close();
    }

    @Override
    public String toString() {
        Map<Kind, Long> counts = new EnumMap<>(Kind.class);
        accepted.values().forEach(kind -> counts.merge(kind, 1L, Long::sum));
        return "%,d jobs on the broker, %s".formatted(accepted.size(), counts);
    }
}
