package dev.penstock.bench;

import dev.penstock.testkit.BrokerProcess;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.config.ConfigResource;

/** A broker and a fake upstream, each in a JVM of its own, and the replicas of Penstock that use them. */
final class Stage implements AutoCloseable {
    static final String JOBS = "prompt-jobs";
    static final String GROUP = "penstock." + JOBS;
    static final int PARTITIONS = 4;
    static final int SLOTS = 64;
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final long POLL_MILLIS = 50;
    /** Longer than any process is stopped. */
    private static final String SESSION_MILLIS = "45000";

    private final BrokerProcess broker;
    private final ChildProcess fake;
    private final URI fakeUrl;
    private final Admin admin;

    private Stage(BrokerProcess broker, ChildProcess fake, URI fakeUrl) {
        this.broker = broker;
        this.fake = fake;
        this.fakeUrl = fakeUrl;
        admin = broker.admin();
    }

    static Stage open() throws InterruptedException {
        BrokerProcess broker = BrokerProcess.start();
        ChildProcess fake = null;
        try {
            fake = ChildProcess.java("fake", List.of("-Xmx512m"), FakeUpstream.class);
            return new Stage(broker, fake, URI.create(fake.awaitWord("ready", PATIENCE)));
        } catch (IllegalStateException | InterruptedException e) {
            if (fake != null) {
                fake.close();
            }
            broker.close();
            throw e;
        }
    }

    String bootstrap() {
        return broker.bootstrap();
    }

    long brokerPid() {
        return broker.pid();
    }

    URI fakeUrl() {
        return fakeUrl;
    }

    /** Starts a Penstock that takes jobs: each of its consumers has its partitions. */
    PenstockProcess penstock(String name, Map<String, String> config) throws InterruptedException {
        return penstock(builder(name), config);
    }

    /** Returns a Penstock with the fake as its only node, before its start. */
    PenstockProcess.Builder builder(String name) {
        return PenstockProcess.with(bootstrap()).name(name).node("fake", "vllm", fakeUrl, 2 * SLOTS);
    }

    PenstockProcess penstock(PenstockProcess.Builder builder, Map<String, String> config) throws InterruptedException {
        config.forEach(builder::config);
        int before = members().size();
        PenstockProcess penstock = builder.startReady();
        try {
            configureGroup(GROUP, "share.session.timeout.ms", SESSION_MILLIS);
            String consumers = config.getOrDefault("penstock.intake.consumers", "");
            awaitMembers(consumers.isEmpty() ? 0 : before + Integer.parseInt(consumers));
            return penstock;
        } catch (IllegalStateException | InterruptedException e) {
            penstock.close();
            throw e;
        }
    }

    /** Ends a Penstock and waits until it has left its group. */
    void leave(Collection<PenstockProcess> all) throws InterruptedException {
        List<PenstockProcess> open = new ArrayList<>(all);
        open.forEach(PenstockProcess::close);
        until(() -> members().isEmpty(), "the group " + GROUP + " still has members");
    }

    /** Starts the raw loop. It shares only the broker and the upstream with Penstock. */
    ChildProcess rawLoop(String jobs, String answers, String group) throws InterruptedException {
        createTopic(jobs, PARTITIONS);
        createTopic(answers, 12);
        configureGroup(group, "share.auto.offset.reset", "earliest");
        configureGroup(group, "share.session.timeout.ms", SESSION_MILLIS);
        ChildProcess raw = ChildProcess.java(
                "raw-loop",
                List.of("-Xmx1g"),
                RawLoop.class,
                bootstrap(),
                jobs,
                answers,
                group,
                fakeUrl.toString(),
                Integer.toString(SLOTS));
        raw.awaitWord("ready", PATIENCE);
        return raw;
    }

    void createTopic(String name, int partitions) throws InterruptedException {
        try {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1)))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    private void configureGroup(String group, String key, String value) throws InterruptedException {
        try {
            admin.incrementalAlterConfigs(Map.of(
                            new ConfigResource(ConfigResource.Type.GROUP, group),
                            List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET))))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    /** Waits until every record is acknowledged, so that no work of one measurement is left for the next. */
    void awaitNothingLeft(String group) throws InterruptedException {
        ShareLag.awaitNone(admin, group, PATIENCE);
    }

    /**
     * @param atLeast the smallest number, to which the intake may add under load; 0 to wait until no member has
     *     joined for a second
     */
    private void awaitMembers(int atLeast) throws InterruptedException {
        AtomicInteger same = new AtomicInteger();
        AtomicInteger last = new AtomicInteger();
        until(
                () -> {
                    List<Integer> members = members();
                    same.set(last.getAndSet(members.size()) == members.size() ? same.get() + 1 : 0);
                    boolean all = atLeast == 0 ? same.get() * POLL_MILLIS >= 1000 : members.size() >= atLeast;
                    return all && !members.isEmpty() && members.stream().allMatch(partitions -> partitions > 0);
                },
                "not all of %d consumers have joined".formatted(atLeast));
    }

    /** Returns the number of partitions of each member of Penstock's group. */
    private List<Integer> members() throws InterruptedException {
        try {
            return admin.describeShareGroups(List.of(GROUP)).all().get().values().stream()
                    .flatMap(group -> group.members().stream())
                    .map(member -> member.assignment().topicPartitions().size())
                    .toList();
        } catch (ExecutionException _) {
            return List.of(); // there is no such group yet
        }
    }

    /** A condition that depends on another process. */
    interface Condition {
        boolean holds() throws InterruptedException;
    }

    static void until(Condition condition, String otherwise) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.holds()) {
            if (System.nanoTime() > until) {
                throw new IllegalStateException(otherwise + " after " + PATIENCE);
            }
            Thread.sleep(POLL_MILLIS);
        }
    }

    @Override
    public void close() {
        admin.close();
        fake.close();
        broker.close();
    }
}
