import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads Penstock's reply topic from its beginning: prints each job's text as it comes, and a line for its outcome.
 *
 * <p>Which events count is decided by the reading rule (docs/wire/asyncapi.yaml), on headers alone: see
 * {@link ReadingRule}. examples/python/consumer.py is the same program in Python.
 */
public final class ReplyConsumer {
    private static final Set<String> OUTCOMES = Set.of("completed", "failed", "cancelled", "expired");
    private static final JsonMapper JSON =
            JsonMapper.builder().disable(JsonWriteFeature.WRITE_HEX_UPPER_CASE).build();

    private ReplyConsumer() {}

    enum Verdict {
        VOID,
        VALID,
        TAKES_OVER
    }

    /** Which events of one job count. It is shown all of them, in their partition's order. */
    static final class ReadingRule {
        private int attempt = -1;
        private String run = "";
        private boolean closed;

        Verdict judge(String event, int eventAttempt, String eventRun) {
            if (closed || event.equals("rejected")) {
                return Verdict.VOID;
            }
            boolean outcome = OUTCOMES.contains(event);
            boolean takesOver = eventAttempt > attempt && (outcome || event.equals("started"));
            if (!takesOver && !(eventAttempt == attempt && eventRun.equals(run))) {
                return Verdict.VOID;
            }
            attempt = eventAttempt;
            run = eventRun;
            closed = outcome;
            return takesOver ? Verdict.TAKES_OVER : Verdict.VALID;
        }

        int attempt() {
            return attempt;
        }

        boolean closed() {
            return closed;
        }
    }

    /** Where an event stands in its job. */
    record Position(int attempt, int seq) {
        boolean after(Position other) {
            return attempt > other.attempt || (attempt == other.attempt && seq > other.seq);
        }
    }

    /** What the headers of a record say. */
    record Event(String id, String name, Position at, String run) {
        private static final Pattern NUMBER = Pattern.compile("[0-9]{1,9}");

        static Optional<Event> of(Headers headers) {
            var id = text(headers, "job-id");
            var name = text(headers, "event");
            var attempt = number(headers, "attempt");
            var seq = number(headers, "seq");
            var run = text(headers, "run");
            if (id.isEmpty() || name.isEmpty() || attempt.isEmpty() || seq.isEmpty() || run.isEmpty()) {
                return Optional.empty();
            }
            return Optional.of(new Event(id.get(), name.get(), new Position(attempt.get(), seq.get()), run.get()));
        }

        boolean outcome() {
            return OUTCOMES.contains(name);
        }

        boolean rejection() {
            return name.equals("rejected");
        }

        /** A rejection is shown only for the one job that is waited for: it has no other record. */
        boolean last() {
            return outcome() || rejection();
        }

        private static Optional<String> text(Headers headers, String name) {
            return Optional.ofNullable(headers.lastHeader(name))
                    .map(Header::value)
                    .map(value -> new String(value, StandardCharsets.UTF_8));
        }

        private static Optional<Integer> number(Headers headers, String name) {
            return text(headers, name)
                    .filter(text -> NUMBER.matcher(text).matches())
                    .map(Integer::valueOf);
        }
    }

    /** What the valid events of one job add up to. */
    static final class Job {
        private record Mark(Position at, int length) {}

        private final ReadingRule rule = new ReadingRule();
        private final StringBuilder text = new StringBuilder();
        /** For each valid event whose text is kept: the text's length after it. */
        private final Deque<Mark> marks = new ArrayDeque<>();

        private int events;

        /** Takes an event in; returns its document, or nothing where the event is void. */
        Optional<JsonNode> read(Event event, byte[] value) {
            Verdict verdict = rule.judge(event.name(), event.at().attempt(), event.run());
            if (verdict == Verdict.VOID) {
                return Optional.empty();
            }
            JsonNode document = parse(value);
            events++;
            if (event.name().equals("started") && verdict == Verdict.TAKES_OVER) {
                keep(document.path("job").path("resumed_from"));
            } else if (event.name().equals("chunk")) {
                text.append(textOf(document));
            }
            marks.addLast(new Mark(event.at(), text.length()));
            return Optional.of(document);
        }

        /** A new attempt voids the text so far, but for what it goes on from. */
        private void keep(JsonNode resumedFrom) {
            var last = new Position(
                    resumedFrom.path("attempt").asInt(-1),
                    resumedFrom.path("seq").asInt(-1));
            while (!marks.isEmpty() && marks.getLast().at().after(last)) {
                marks.removeLast();
            }
            text.setLength(marks.isEmpty() ? 0 : marks.getLast().length());
        }

        private static JsonNode parse(byte[] value) {
            try {
                return JSON.readTree(value);
            } catch (IOException e) {
                throw new UncheckedIOException("a valid event's value is not JSON", e);
            }
        }
    }

    /** The text of choice 0: of a chunk or of a whole answer, of a chat or of a completion. */
    static String textOf(JsonNode document) {
        var found = new StringBuilder();
        for (JsonNode choice : document.path("choices")) {
            if (choice.path("index").asInt(0) == 0) {
                found.append(choice.path("delta").path("content").asText(""))
                        .append(choice.path("message").path("content").asText(""))
                        .append(choice.path("text").asText(""));
            }
        }
        return found.toString();
    }

    /** What is printed. */
    sealed interface View {
        void show(Event event, Job job, JsonNode document);

        void end();
    }

    /** A line of JSON for each outcome, and nothing else. */
    record JsonLines(PrintStream out) implements View {
        private record Line(String id, String outcome, int attempt, String text, int events) {}

        @Override
        public void show(Event event, Job job, JsonNode document) {
            if (event.last()) {
                var line = new Line(event.id(), event.name(), Math.max(0, job.rule.attempt()), job.text.toString(), job.events);
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
        public void show(Event event, Job job, JsonNode document) {
            String id = event.id();
            int from = shown.getOrDefault(id, 0);
            if (job.text.length() < from) {
                line(id, "attempt " + job.rule.attempt() + " starts the text again");
                from = 0;
            }
            text(id, job.text.substring(from));
            shown.put(id, job.text.length());
            if (event.last()) {
                if (job.text.isEmpty()) { // nothing was streamed
                    text(id, textOf(document));
                }
                line(id, event.name() + ", attempt " + Math.max(0, job.rule.attempt()) + ", events " + job.events + why(document));
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

        private void text(String id, String text) {
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
        /** Of the one job: the event that refused a record of it. */
        private Optional<Event> rejected = Optional.empty();

        private byte[] rejection = {};

        Replies(View view, Optional<String> only) {
            this.view = view;
            this.only = only;
        }

        boolean finished() {
            return only.isPresent() && closed.contains(only.get());
        }

        /** Says where the partitions end now: of those that hold anything. */
        void begin(Map<TopicPartition, Long> ends) {
            behind.putAll(ends);
        }

        /** A record was read. What the topic held at the beginning decides before a rejection does. */
        void passed(TopicPartition partition, long offset) {
            behind.computeIfPresent(partition, (_, end) -> offset + 1 >= end ? null : end);
            rejected.filter(_ -> behind.isEmpty() && !finished()).ifPresent(event -> {
                Job job = jobs.getOrDefault(event.id(), new Job());
                if (job.events == 0) {
                    view.show(event, job, Job.parse(rejection));
                    closed.add(event.id());
                }
            });
        }

        /** Another body means that there is another record, whose outcome is to come. */
        private void reject(Event event, byte[] value) {
            if (!Job.parse(value).path("error").path("code").asText().equals("id_conflict")) {
                rejected = Optional.of(event);
                rejection = value;
            }
        }

        /** Takes in a record; one that is no event is passed over. */
        void read(Headers headers, byte[] value) {
            Event.of(headers)
                    .filter(event -> !closed.contains(event.id()))
                    .filter(event -> only.isEmpty() || only.get().equals(event.id()))
                    .ifPresent(event -> read(event, value));
        }

        private void read(Event event, byte[] value) {
            if (event.rejection() && only.isPresent()) {
                reject(event, value);
            }
            Job job = jobs.computeIfAbsent(event.id(), _ -> new Job());
            Optional<JsonNode> document = job.read(event, value);
            if (document.isEmpty()) {
                return;
            }
            view.show(event, job, document.get());
            if (job.rule.closed()) {
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
    private static void silenceTheLog() {
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
