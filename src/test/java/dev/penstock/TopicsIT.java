package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a job topic decides: the tenant and the priority of its jobs, and how many slots they hold at most. */
class TopicsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int SLOTS = 8;

    private Rig rig;

    @BeforeEach
    void start() {
        rig = Rig.start("topics");
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    private PenstockProcess.Builder twoTopics() {
        return rig.replica("replica", SLOTS)
                .config("penstock.intake.topics[0].name", "jobs-acme")
                .config("penstock.intake.topics[0].tenant", "acme")
                .config("penstock.intake.topics[0].slots", "2")
                .config("penstock.intake.topics[1].name", "jobs-all");
    }

    @Test
    void a_topic_holds_no_more_than_its_slots_and_another_has_the_rest() throws InterruptedException {
        rig.fake()
                .script(request ->
                        request.prompt().equals("acme") ? Answer.tokens(1).stallBeforeResponse() : Answer.tokens(1));
        URI url = rig.start(twoTopics()).url();
        List<String> acme = Rig.ids("acme", 10);
        List<String> others = Rig.ids("other", 30);

        send("jobs-acme", acme, "acme");
        rig.fake().awaitInFlight(2, PATIENCE);
        send("jobs-all", others, "other");
        rig.replies().awaitOutcomes(others, PATIENCE);

        rig.fake().awaitInFlight(2, PATIENCE);
        assertThat(calls("acme")).isEqualTo(2);
        for (String id : acme) {
            assertThat(Rest.delete(url, "/v1/jobs/" + id).status()).isEqualTo(202);
        }
        rig.replies().awaitOutcomes(acme, PATIENCE);
    }

    private long calls(String prompt) {
        return rig.fake().requests().stream()
                .filter(call -> call.request().prompt().equals(prompt))
                .count();
    }

    @Test
    void its_jobs_are_its_tenants_and_a_priority_without_a_topic_is_refused() throws InterruptedException {
        URI url = rig.start(twoTopics()).url();
        send("jobs-acme", List.of("theirs"), "hello");
        send("jobs-all", List.of("ours"), "hello");
        rig.replies().awaitOutcomes(List.of("theirs", "ours"), PATIENCE);

        assertThat(tenant(url, "theirs")).isEqualTo("acme");
        assertThat(tenant(url, "ours")).isEqualTo("default");
        Rest.Reply urgent = Rest.post(
                url, "/v1/jobs", "application/json", "{\"prompt\":\"hello\",\"job\":{\"priority\":\"high\"}}");
        assertThat(urgent.status()).isEqualTo(400);
        assertThat(urgent.body()).contains("no topic takes priority 'high'", "jobs-all (normal)");
    }

    @Test
    void a_dead_letter_goes_back_to_the_topic_that_it_came_from() throws InterruptedException {
        URI url = rig.start(twoTopics()).url();
        send("jobs-acme", List.of("twice"), "one body");
        rig.replies().awaitOutcomes(List.of("twice"), PATIENCE);
        send("jobs-acme", List.of("twice"), "another body");
        rig.replies()
                .await(
                        () -> rig.replies().count("twice", EventMark.Kind.REJECTED) == 1,
                        PATIENCE,
                        () -> "of twice there is " + rig.replies().all("twice"));
        String letter = Rest.get(url, "/v1/dlq").json().at("/data/0/id").asText();

        Rest.Reply retried = Rest.post(url, "/v1/dlq/%s/retry".formatted(letter), "application/json", "");

        assertThat(retried.status()).as(retried.body()).isEqualTo(202);
        String again = retried.json().path("id").asText();
        rig.replies().awaitOutcomes(List.of(again), PATIENCE);
        assertThat(rig.fake().requests().getLast().request().prompt()).isEqualTo("another body");
        assertThat(tenant(url, again)).isEqualTo("acme");
    }

    @ParameterizedTest
    @CsvSource({"share, own", "share, kafka", "classic, own"})
    void records_of_an_aborted_transaction_do_not_run(String mode, String shareClient) throws InterruptedException {
        PenstockProcess replica = rig.start(rig.replica("replica", SLOTS)
                .config("penstock.intake.mode", mode)
                .config("penstock.intake.share-client", shareClient));
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", rig.broker().bootstrap(), "transactional.id", "team-a"),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            var _ = producer.send(job("aborted", 0));
            producer.flush();
            // an open transaction delays its own partition alone, and no call about a job
            sendTo(1, "beside");
            rig.replies().awaitOutcomes(List.of("beside"), PATIENCE);
            assertThat(found(replica, "aborted").status()).isEqualTo(404);
            producer.abortTransaction();

            producer.beginTransaction();
            var _ = producer.send(job("committed", 0));
            producer.commitTransaction();
        }
        rig.replies().awaitOutcomes(List.of("committed"), PATIENCE);

        assertThat(rig.fake().requests())
                .extracting(call -> call.request().prompt())
                .containsExactlyInAnyOrder("beside", "committed");
        assertThat(found(replica, "aborted").status()).as("there is no row").isEqualTo(404);
        awaitCompleted(replica, "committed");
        Rest.Reply free = Rest.post(replica.url(), "/v1/jobs", "application/json", JobSender.chat("aborted", "free"));
        assertThat(free.status()).as(free.body()).isEqualTo(202);
        rig.replies().awaitOutcomes(List.of("aborted"), PATIENCE);
        assertThat(rig.replies().count("aborted", EventMark.Kind.COMPLETED)).isEqualTo(1);
        // the markers of transactions are no waiting records
        awaitTrue(
                () -> lag(replica) == 0,
                () -> Rest.get(replica.managementUrl(), "/q/health/ready").body());
    }

    private static long lag(PenstockProcess replica) throws InterruptedException {
        long lag = -1;
        for (JsonNode check :
                Rest.get(replica.managementUrl(), "/q/health/ready").json().path("checks")) {
            lag = Math.max(lag, check.path("data").path("lag.prompt-jobs").asLong(-1));
        }
        return lag;
    }

    private static void awaitCompleted(PenstockProcess replica, String id) throws InterruptedException {
        awaitTrue(
                () -> found(replica, id).json().path("status").asText().equals("completed"),
                () -> "it is " + found(replica, id).body());
    }

    private static ProducerRecord<byte[], byte[]> job(String id, int partition) {
        return new ProducerRecord<>(
                "prompt-jobs", partition, null, JobSender.chat(id, id).getBytes(StandardCharsets.UTF_8));
    }

    private void sendTo(int partition, String id) throws InterruptedException {
        try (JobSender jobs = new JobSender(rig.broker().bootstrap())) {
            jobs.send(job(id, partition));
            jobs.flush();
        }
    }

    private interface Question<T> {
        T ask() throws InterruptedException;
    }

    private static void awaitTrue(Question<Boolean> question, Question<String> otherwise) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (!question.ask()) {
            if (System.nanoTime() > until) {
                throw new AssertionError(otherwise.ask());
            }
            Thread.sleep(50);
        }
    }

    /** The job object, once the service does not report that its ledger is behind. */
    private static Rest.Reply found(PenstockProcess replica, String id) throws InterruptedException {
        Rest.Reply[] reply = {Rest.get(replica.url(), "/v1/jobs/" + id)};
        awaitTrue(
                () -> {
                    reply[0] = Rest.get(replica.url(), "/v1/jobs/" + id);
                    return reply[0].status() != 503;
                },
                () -> "503 for ever: " + reply[0].body());
        return reply[0];
    }

    @Test
    void a_partition_that_is_added_and_a_topic_that_is_made_again_are_found() throws Exception {
        PenstockProcess replica = rig.start(rig.replica("replica", SLOTS));
        sendTo(0, "first");
        rig.replies().awaitOutcomes(List.of("first"), PATIENCE);
        try (Admin admin = rig.broker().admin()) {
            admin.createPartitions(Map.of("prompt-jobs", NewPartitions.increaseTo(5)))
                    .all()
                    .get();
            sendTo(4, "added");
            assertThat(found(replica, "added").status()).isEqualTo(200);
            rig.replies().awaitOutcomes(List.of("added"), PATIENCE);

            admin.deleteTopics(List.of("prompt-jobs")).all().get();
            awaitTrue(
                    () -> {
                        try {
                            admin.createTopics(List.of(new NewTopic("prompt-jobs", 4, (short) 1)))
                                    .all()
                                    .get();
                            return true;
                        } catch (ExecutionException _) {
                            return false;
                        }
                    },
                    () -> "the topic is not made again");
        }
        sendTo(0, "again");
        assertThat(found(replica, "again").status()).isEqualTo(200);
        rig.replies().awaitOutcomes(List.of("again"), PATIENCE);
        awaitCompleted(replica, "again");
        assertThat(found(replica, "first").json().path("status").asText())
                .as("its events are there")
                .isEqualTo("completed");
    }

    @Test
    void two_installations_share_a_kafka() throws Exception {
        PenstockProcess acme = rig.start(installation("acme"));
        PenstockProcess zeta = rig.start(installation("zeta"));
        List<String> ofAcme = Rig.ids("acme", 20);
        List<String> ofZeta = Rig.ids("zeta", 20);

        try (ReplyLog acmeReplies = ReplyLog.follow(rig.broker().bootstrap(), "acme-replies");
                ReplyLog zetaReplies = ReplyLog.follow(rig.broker().bootstrap(), "zeta-replies")) {
            send("acme-jobs", ofAcme, "acme");
            send("zeta-jobs", ofZeta, "zeta");
            acmeReplies.awaitOutcomes(ofAcme, PATIENCE);
            zetaReplies.awaitOutcomes(ofZeta, PATIENCE);
        }

        assertThat(rig.fake().stats().requests()).isEqualTo(40);
        awaitCompleted(acme, "acme-0");
        awaitCompleted(zeta, "zeta-0");
        // each replica has all slots of its node
        assertThat(List.of(acme, zeta))
                .allSatisfy(each -> assertThat(Rest.get(each.url(), "/v1/nodes")
                                .json()
                                .at("/data/0/limit")
                                .asInt())
                        .isEqualTo(SLOTS));
        try (Admin admin = rig.broker().admin()) {
            assertThat(admin.listGroups().all().get())
                    .extracting(GroupListing::groupId)
                    .containsExactlyInAnyOrder(
                            "acme.penstock.acme-jobs",
                            "acme.penstock.acme-deferred",
                            "acme.penstock-ledger",
                            "zeta.penstock.zeta-jobs",
                            "zeta.penstock.zeta-deferred",
                            "zeta.penstock-ledger");
        }
        assertThat(acme.process().output()).noneMatch(line -> line.contains("takes the jobs of"));

        PenstockProcess third = rig.start(installation("acme")
                .name("third")
                .config("penstock.groups-prefix", "third.")
                .config("penstock.intake.enabled", "false"));
        assertThat(third.process().output())
                .anyMatch(line -> line.contains("group acme.penstock.acme-jobs takes the jobs of acme-jobs too"));
    }

    /** A service with its own topics, groups and ledger. */
    private PenstockProcess.Builder installation(String name) {
        return PenstockProcess.with(rig.broker().bootstrap())
                .name(name)
                .node("fake", "vllm", URI.create(rig.fake().url()), SLOTS)
                .config("penstock.groups-prefix", name + ".")
                .config("penstock.intake.topics[0].name", name + "-jobs")
                .config("penstock.topics.deferred", name + "-deferred")
                .config("penstock.topics.replies", name + "-replies")
                .config("penstock.topics.commands", name + "-commands")
                .config("penstock.topics.dlq", name + "-dlq")
                .config("penstock.topics.settings", name + "-settings")
                .config("penstock.topics.usage", name + "-usage");
    }

    @Test
    void the_ledger_of_another_cluster_is_refused() throws InterruptedException {
        try (PenstockProcess _ = rig.start(rig.replica("replica", SLOTS));
                Broker other = Broker.start();
                PenstockProcess refused = PenstockProcess.with(other.bootstrap())
                        .name("refused")
                        .ledger(rig.postgres())
                        .start()) {
            assertThat(refused.process().awaitExit(PATIENCE)).hasValue(1);
            assertThat(refused.process().output())
                    .anyMatch(line -> line.contains("the ledger's database is of Kafka cluster")
                            && line.contains("penstock.ledger.url"));
        }
    }

    /** All slots are taken until jobs of both priorities wait. From then on, the scheduler alone orders the starts. */
    @Test
    void low_jobs_get_their_share_of_the_starts_while_high_ones_wait() throws InterruptedException {
        rig.fake()
                .script(request -> request.prompt().equals("holds")
                        ? Answer.tokens(1).stallBeforeResponse()
                        // much longer than a fetch of a service that has just started
                        : Answer.tokens(1).firstTokenAfter(Duration.ofMillis(300)));
        PenstockProcess replica = rig.start(rig.replica("replica", SLOTS).config("penstock.intake.low-share", "0.2"));
        List<String> holding = Rig.ids("holds", SLOTS);
        send("prompt-jobs", holding, "holds");
        rig.fake().awaitInFlight(SLOTS, PATIENCE);
        List<String> low = Rig.ids("low", 100);
        List<String> high = Rig.ids("high", 100);
        send("prompt-jobs-low", low, "low");
        send("prompt-jobs-high", high, "high");
        for (String priority : List.of("low", "high")) {
            var _ = Metrics.await(
                    replica,
                    "penstock_jobs_waiting{priority=\"%s\"}".formatted(priority),
                    "is not 0",
                    waiting -> waiting > 0,
                    PATIENCE);
        }

        for (String id : holding) {
            assertThat(Rest.delete(replica.url(), "/v1/jobs/" + id).status()).isEqualTo(202);
        }
        rig.replies().awaitOutcomes(high, PATIENCE);
        rig.replies().awaitOutcomes(low, PATIENCE);

        List<String> starts = rig.fake().requests().stream()
                .map(call -> call.request().prompt())
                .filter(prompt -> !prompt.equals("holds"))
                .toList();
        long lowOnes = starts.subList(0, starts.lastIndexOf("high")).stream()
                .filter("low"::equals)
                .count();
        System.out.printf("while 100 high ones waited %d low ones started; a share of 0.2 is 25%n", lowOnes);
        // the last starts may overtake each other on their way, one at each slot
        assertThat(lowOnes).as("%s", starts).isBetween(25L - SLOTS, 25L + SLOTS);
    }

    private static String tenant(URI url, String id) throws InterruptedException {
        JsonNode job = Rest.get(url, "/v1/jobs/" + id, "Prefer", "wait=30").json();
        return job.path("tenant").asText();
    }

    private void send(String topic, List<String> ids, String prompt) throws InterruptedException {
        try (JobSender jobs = new JobSender(rig.broker().bootstrap(), topic, Map.of())) {
            ids.forEach(id -> jobs.send(id, prompt));
            jobs.flush();
        }
    }
}
