import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads Penstock's reply topic from its beginning: prints each job's text as it comes, and a line for its outcome.
 *
 * <p>Job.java, beside this file, has the reading rule. examples/python/consumer.py is the same program in Python.
 */
public final class ReplyConsumer {
    private static final JsonMapper JSON =
            JsonMapper.builder().disable(JsonWriteFeature.WRITE_HEX_UPPER_CASE).build();

    private ReplyConsumer() {}

    /** What is printed. */
    sealed interface View {
        void show(Job.Event event, Job job, JsonNode document);

        void end();
    }

    /** A line of JSON for each outcome, and nothing else. */
    record JsonLines(PrintStream out) implements View {
        private record Line(String id, String outcome, int attempt, String text, int events) {}

        @Override
        public void show(Job.Event event, Job job, JsonNode document) {
            if (event.last()) {
                var line = new Line(event.id(), event.name(), job.attempt(), job.text().toString(), job.events());
                out.print(json(line) + "\n");
                out.flush();
            }
        }

        @Override
        public void end() {}

        private static String json(Line line) {
            try {
                return JSON.writeValueAsString(line);
            } catch (JacksonException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /** Text as it comes, each line with the job it belongs to, and a line for each outcome. */
    static final class Plain implements View {
        private final PrintStream out;
        private final Map<String, Integer> shown = new HashMap<>();
        /** The job whose text the last line holds. */
        private Optional<String> open = Optional.empty();

        Plain(PrintStream out) {
            this.out = out;
        }

        @Override
        public void show(Job.Event event, Job job, JsonNode document) {
            String id = event.id();
            int from = shown.getOrDefault(id, 0);
            if (job.text().length() < from) {
                line(id, "attempt " + job.attempt() + " starts the text again");
                from = 0;
            }
            text(id, job.text().subSequence(from, job.text().length()));
            shown.put(id, job.text().length());
            if (event.last()) {
                if (job.text().isEmpty()) { // nothing was streamed
                    text(id, Job.textOf(document));
                }
                line(id, event.name() + ", attempt " + job.attempt() + ", events " + job.events() + why(document));
                shown.remove(id);
            }
            out.flush();
        }

        @Override
        public void end() {
            if (open.isPresent()) {
                out.print('\n');
                out.flush();
                open = Optional.empty();
            }
        }

        private void text(String id, CharSequence text) {
            if (text.isEmpty()) {
                return;
            }
            if (!open.equals(Optional.of(id))) {
                end();
                out.print("[" + id + "] ");
                open = Optional.of(id);
            }
            out.print(text);
        }

        private void line(String id, String line) {
            end();
            out.print("[" + id + "] " + line + "\n");
        }

        private static String why(JsonNode document) {
            JsonNode error = document.path("error");
            if (!error.isObject()) {
                return "";
            }
            String code = error.path("code").asText();
            String message = error.path("message").asText();
            return (": " + code + ": " + message).replace('\n', ' ');
        }
    }

    /** The jobs of the reply topic, or one of them. */
    static final class Replies {
        private final View view;
        private final Optional<String> only;
        private final Map<String, Job> jobs = new HashMap<>();
        private final Set<String> closed = new HashSet<>();
        /** Where the partitions ended at the beginning, of those that are not read so far. */
        private final Map<TopicPartition, Long> behind = new HashMap<>();
        /** The event that refused a record of the one job. */
        private Optional<Job.Event> rejected = Optional.empty();

        private byte[] rejection = {};

        Replies(View view, Optional<String> only) {
            this.view = view;
            this.only = only;
        }

        boolean finished() {
            return only.isPresent() && closed.contains(only.get());
        }

        /** Takes the present ends of the partitions that hold anything. */
        void begin(Map<TopicPartition, Long> ends) {
            behind.putAll(ends);
        }

        /** A record was read. What the topic held at the beginning decides before a rejection does. */
        void passed(TopicPartition partition, long offset) {
            behind.computeIfPresent(partition, (_, end) -> offset + 1 >= end ? null : end);
            rejected.filter(_ -> behind.isEmpty() && !finished()).ifPresent(event -> {
                Job job = jobs.getOrDefault(event.id(), new Job());
                if (job.events() == 0) {
                    view.show(event, job, Job.json(rejection));
                    closed.add(event.id());
                }
            });
        }

        /** Another body means that there is another record, whose outcome is to come. */
        private void reject(Job.Event event, byte[] value) {
            if (!Job.json(value).path("error").path("code").asText().equals("id_conflict")) {
                rejected = Optional.of(event);
                rejection = value;
            }
        }

        /** Takes in a record; one that is no event is skipped. */
        void read(Headers headers, byte[] value) {
            Job.Event.of(headers)
                    .filter(event -> !closed.contains(event.id()))
                    .filter(event -> only.isEmpty() || only.get().equals(event.id()))
                    .ifPresent(event -> read(event, value));
        }

        private void read(Job.Event event, byte[] value) {
            if (event.rejection() && only.isPresent()) {
                reject(event, value);
            }
            Job job = jobs.computeIfAbsent(event.id(), _ -> new Job());
            Optional<JsonNode> document = job.read(event, value);
            if (document.isEmpty()) {
                return;
            }
            view.show(event, job, document.get());
            if (event.outcome()) {
                jobs.remove(event.id());
                closed.add(event.id());
            }
        }
    }

    /** What the command line says. */
    record Options(String bootstrap, String topic, Optional<String> id, Optional<Duration> untilIdle, boolean json) {
        static final String USAGE = """
                usage: ReplyConsumer [--bootstrap HOST:PORT] [--topic TOPIC] [--id ID] [--until-idle SECONDS] [--json]

                  --bootstrap HOST:PORT   the brokers (localhost:9092)
                  --topic TOPIC           the reply topic (prompt-replies)
                  --id ID                 only this job; ends at its outcome, or where its only record was refused
                  --until-idle SECONDS    ends when no record has come for so long
                  --json                  only a line of JSON for each outcome
                """;

        static Options of(List<String> arguments) {
            var bootstrap = "localhost:9092";
            var topic = "prompt-replies";
            Optional<String> id = Optional.empty();
            Optional<Duration> untilIdle = Optional.empty();
            var json = false;
            for (Iterator<String> rest = arguments.iterator(); rest.hasNext(); ) {
                String option = rest.next();
                switch (option) {
                    case "--bootstrap" -> bootstrap = value(option, rest);
                    case "--topic" -> topic = value(option, rest);
                    case "--id" -> id = Optional.of(value(option, rest));
                    case "--until-idle" -> untilIdle = Optional.of(seconds(option, value(option, rest)));
                    case "--json" -> json = true;
                    default -> throw new IllegalArgumentException("unknown option: " + option);
                }
            }
            return new Options(bootstrap, topic, id, untilIdle, json);
        }

        private static String value(String option, Iterator<String> rest) {
            if (!rest.hasNext()) {
                throw new IllegalArgumentException(option + " needs a value");
            }
            return rest.next();
        }

        private static Duration seconds(String option, String text) {
            try {
                return Duration.ofMillis(Math.round(Double.parseDouble(text) * 1000));
            } catch (NumberFormatException e) {
                throw new IllegalArgumentException(option + " needs seconds, not " + text, e);
            }
        }
    }

    /** A consumer that joins no group and commits nothing: the rule wants all of a job's events. */
    private static Consumer<byte[], byte[]> connect(String bootstrap) {
        return new KafkaConsumer<>(
                Map.ofEntries(
                        Map.entry(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap),
                        Map.entry(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false),
                        Map.entry(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest"),
                        Map.entry(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false)),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }

    private static List<TopicPartition> partitions(Consumer<byte[], byte[]> consumer, String topic) {
        var found = consumer.partitionsFor(topic, Duration.ofSeconds(30));
        if (found == null || found.isEmpty()) {
            throw new KafkaException("topic " + topic + " is not there");
        }
        return found.stream()
                .map(partition -> new TopicPartition(topic, partition.partition()))
                .toList();
    }

    private static void follow(Consumer<byte[], byte[]> consumer, Replies replies, Options options) {
        var partitions = partitions(consumer, options.topic());
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions));
        ends.entrySet().removeAll(consumer.beginningOffsets(partitions).entrySet());
        replies.begin(ends);
        long latest = System.nanoTime();
        while (!replies.finished() && !idle(System.nanoTime() - latest, options)) {
            for (ConsumerRecord<byte[], byte[]> message : consumer.poll(Duration.ofMillis(100))) {
                latest = System.nanoTime();
                replies.read(message.headers(), message.value());
                replies.passed(new TopicPartition(message.topic(), message.partition()), message.offset());
            }
        }
    }

    private static boolean idle(long nanos, Options options) {
        return options.untilIdle().filter(limit -> nanos >= limit.toNanos()).isPresent();
    }

    /** Failures come as exceptions; the client's log could go to standard output, between the text. */
    static void silenceTheLog() {
        System.setProperty("slf4j.internal.verbosity", "ERROR");
        System.setProperty("slf4j.provider", "org.slf4j.helpers.NOP_FallbackServiceProvider");
    }

    private static int run(Options options, PrintStream out) {
        View view = options.json() ? new JsonLines(out) : new Plain(out);
        try (var consumer = connect(options.bootstrap())) {
            follow(consumer, new Replies(view, options.id()), options);
            return 0;
        } catch (KafkaException e) {
            System.err.println(e.getMessage());
            return 1;
        } finally {
            view.end();
        }
    }

    public static void main(String... arguments) {
        silenceTheLog();
        if (List.of(arguments).contains("--help")) {
            System.out.print(Options.USAGE);
            return;
        }
        Options options;
        try {
            options = Options.of(List.of(arguments));
        } catch (IllegalArgumentException e) {
            System.err.print(Options.USAGE);
            System.err.println(e.getMessage());
            System.exit(2);
            return;
        }
        var out = new PrintStream(
                new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)), false, StandardCharsets.UTF_8);
        System.exit(run(options, out));
    }
}
