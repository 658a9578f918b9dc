package dev.penstock.bench;

import dev.penstock.testkit.JobSender;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.IntFunction;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Jobs for a topic.
 *
 * @param count the number of jobs
 * @param prompt the prompt of the n-th job
 * @param bytes the size of each document, filled up with text; 0 for the shortest document
 */
record Work(String name, int count, IntFunction<String> prompt, int bytes) {
    /** Where jobs go. */
    enum Where {
        EVEN,
        STICKY,
        FIRST_PARTITION
    }

    /** Returns jobs with an instant answer of 8 tokens. */
    static Work instant(String name, int count) {
        return new Work(name, count, _ -> "", 1000);
    }

    /** Sends all of them to the topic, and returns when they are there. */
    void send(String bootstrap, String topic, Where where) throws InterruptedException {
        try (JobSender sender =
                new JobSender(bootstrap, topic, Map.of("linger.ms", 5, "batch.size", 65_536, "acks", "all"))) {
            for (int i = 0; i < count; i++) {
                sender.send(record(topic, name + "-" + i, prompt.apply(i), bytes, where, i));
            }
            sender.flush();
        }
    }

    /** Returns the id in the document of a job. */
    static String id(byte[] document) {
        String text = new String(document, StandardCharsets.UTF_8);
        int from = text.lastIndexOf(":\"") + 2;
        return text.substring(from, text.indexOf('"', from));
    }

    /** Returns the record of one job. */
    static ProducerRecord<byte[], byte[]> record(
            String topic, String id, String prompt, int bytes, Where where, int turn) {
        String bare = JobSender.chat(id, prompt);
        String whole =
                bytes > bare.length() ? JobSender.chat(id, prompt + " " + "x".repeat(bytes - bare.length() - 1)) : bare;
        Integer partition = switch (where) {
            case EVEN -> turn % Stage.PARTITIONS;
            case FIRST_PARTITION -> 0;
            case STICKY -> null;
        };
        return new ProducerRecord<>(topic, partition, null, whole.getBytes(StandardCharsets.UTF_8));
    }
}
