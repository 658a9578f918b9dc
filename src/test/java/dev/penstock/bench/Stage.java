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

    int brokerPort() {
        return Integer.parseInt(bootstrap().replaceFirst(".*:", ""));
    }

    long brokerPid() {
        return broker.pid();
    }

    URI fakeUrl() {
        return fakeUrl;
    }

    /** Starts a Penstock with the fake as its only node. Returns when each of its consumers has its partitions. */
    PenstockProcess penstock(String name, Map<String, String> config) throws InterruptedException {
        PenstockProcess.Builder builder =
                PenstockProcess.with(bootstrap()).name(name).node("fake", "vllm", fakeUrl, 2 * SLOTS);
        config.forEach(builder::config);
        String consumers = config.getOrDefault("penstock.intake.consumers", "");
        int before = members(GROUP).size();
        return start(builder, GROUP, consumers.isEmpty() ? 0 : before + Integer.parseInt(consumers));
    }

    /**
     * Returns a Penstock before its start.
     *
     * @param node the model server, its only node
     * @param slots the slots of that node, which all replicas share. Each replica may use all of them
     */
    PenstockProcess.Builder builder(Variant variant, String name, URI node, int slots) {
        PenstockProcess.Builder builder = PenstockProcess.with(bootstrap())
                .name(name)
                .executable(variant.path())
                .node("fake", "vllm", node, slots)
                .config("penstock.intake.slots", Integer.toString(Math.max(SLOTS, slots)));
        variant.config().forEach(builder::config);
        return builder;
    }

    /**
     * Starts a Penstock of a variant. Returns when it has joined its group.
     *
     * @param replicas the replicas of this variant that run then
     */
    PenstockProcess start(Variant variant, PenstockProcess.Builder builder, int replicas) throws InterruptedException {
        return start(
                builder, variant.group(variant.jobs()), variant.shareClient().equals("own") ? replicas : 0);
    }

    private PenstockProcess start(PenstockProcess.Builder builder, String group, int members)
            throws InterruptedException {
        PenstockProcess penstock = builder.startReady();
        try {
            configureGroup(group, "share.session.timeout.ms", SESSION_MILLIS);
            awaitMembers(group, members);
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
        awaitLeft(GROUP);
    }

    /** Waits until a group has no members. */
    void awaitLeft(String group) throws InterruptedException {
        until(() -> members(group).isEmpty(), "the group " + group + " still has members");
    }

    /**
     * Starts a raw loop. It shares only the broker and the upstream with Penstock.
     *
     * @param kind what it writes: {@code record} or {@code events}
     */
    ChildProcess rawLoop(String jobs, String answers, String group, String kind) throws InterruptedException {
        createTopic(jobs, PARTITIONS);
        createTopic(answers, 12);
        configureGroup(group, "share.auto.offset.reset", "earliest");
        configureGroup(group, "share.session.timeout.ms", SESSION_MILLIS);
        ChildProcess raw = ChildProcess.java(
                "raw-loop-" + kind,
                List.of("-Xmx1g"),
                RawLoop.class,
                bootstrap(),
                jobs,
                answers,
                group,
                fakeUrl.toString(),
                Integer.toString(SLOTS),
                kind);
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
    private void awaitMembers(String group, int atLeast) throws InterruptedException {
        AtomicInteger same = new AtomicInteger();
        AtomicInteger last = new AtomicInteger();
        until(
                () -> {
                    List<Integer> members = members(group);
                    same.set(last.getAndSet(members.size()) == members.size() ? same.get() + 1 : 0);
                    boolean all = atLeast == 0 ? same.get() * POLL_MILLIS >= 1000 : members.size() >= atLeast;
                    return all && !members.isEmpty() && members.stream().allMatch(partitions -> partitions > 0);
                },
                "not all of %d members have joined %s".formatted(atLeast, group));
    }

    /** Returns the number of partitions of each member of a share group. */
    List<Integer> members(String group) throws InterruptedException {
        try {
            return admin.describeShareGroups(List.of(group)).all().get().values().stream()
                    .flatMap(described -> described.members().stream())
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
