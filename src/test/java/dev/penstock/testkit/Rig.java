package dev.penstock.testkit;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;

/** The parts for a test of the whole: a broker, a database, a model server, and the replicas between them. */
public final class Rig implements AutoCloseable {
    private final Broker broker;
    private final Postgres postgres;
    private final FakeUpstream fake;

    /* Guarded by this. */
    private final List<PenstockProcess> processes = new ArrayList<>();
    private @Nullable ReplyLog replies;

    private Rig(Broker broker, Postgres postgres, FakeUpstream fake) {
        this.broker = broker;
        this.postgres = postgres;
        this.fake = fake;
    }

    /** @param name the name of the database */
    public static Rig start(String name) {
        return start(name, Broker.start());
    }

    public static Rig start(String name, Broker broker) {
        return new Rig(broker, Postgres.start(name), FakeUpstream.start());
    }

    public Broker broker() {
        return broker;
    }

    public Postgres postgres() {
        return postgres;
    }

    /** Returns the node {@code fake} of every replica. */
    public FakeUpstream fake() {
        return fake;
    }

    /** Returns a replica that shares the ledger, with one node that has as many slots as the replica. */
    public PenstockProcess.Builder replica(String name, int slots) {
        return replicaOf(1, name, slots);
    }

    /** Returns one of several replicas. The node's limit holds for all of them together. */
    public PenstockProcess.Builder replicaOf(int replicas, String name, int slots) {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .ledger(postgres)
                .config("penstock.intake.slots", Integer.toString(slots))
                .node("fake", "vllm", URI.create(fake.url()), replicas * slots);
    }

    /** Starts it, and waits until it takes jobs. */
    public synchronized PenstockProcess start(PenstockProcess.Builder replica) throws InterruptedException {
        PenstockProcess started = replica.startReady();
        processes.add(started);
        return started;
    }

    /** Returns the events on prompt-replies. The topic exists once a replica has run. */
    public synchronized ReplyLog replies() {
        ReplyLog known = replies;
        if (known == null) {
            known = ReplyLog.follow(broker.bootstrap());
            replies = known;
        }
        return known;
    }

    /** Sends chat jobs to prompt-jobs, and waits until the broker has them. */
    public void send(Collection<String> ids, String prompt) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            ids.forEach(id -> jobs.send(id, prompt));
            jobs.flush();
        }
    }

    /**
     * Sends chat jobs, each with a prompt of its own.
     *
     * @return when the broker had the first one, in milliseconds since 1970
     */
    public long send(Map<String, String> prompts) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            prompts.forEach(jobs::send);
            return jobs.flush().stream()
                    .mapToLong(RecordMetadata::timestamp)
                    .min()
                    .orElseThrow();
        }
    }

    /** Returns how many of these jobs started more than once. */
    public long startedAgain(Collection<String> ids) {
        return ids.stream()
                .filter(id -> replies().count(id, EventMark.Kind.STARTED) > 1)
                .count();
    }

    /** Returns name-0, name-1 and so on. */
    public static List<String> ids(String name, int count) {
        return IntStream.range(0, count).mapToObj(i -> name + "-" + i).toList();
    }

    /** Returns the seconds since a reading of {@link System#nanoTime}. */
    public static double seconds(long start) {
        return (System.nanoTime() - start) / 1e9;
    }

    @Override
    public synchronized void close() {
        processes.forEach(PenstockProcess::kill9);
        if (replies != null) {
            replies.close();
        }
        fake.close();
        postgres.close();
        broker.close();
    }
}
