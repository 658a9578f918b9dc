package dev.penstock.chaos;

import dev.penstock.testkit.Broker;
import dev.penstock.testkit.BrokerProcess;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;

/** A broker, a database, two nodes and some replicas. Each of them can fail. */
final class Installation implements AutoCloseable {
    static final int NODES = 2;

    private static final int SLOTS = 16;
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private final Shape shape;
    private final Postgres postgres;
    private final List<Node> nodes = new ArrayList<>();
    private final List<PenstockProcess> replicas = new CopyOnWriteArrayList<>();
    private BrokerProcess broker;

    /** How the replicas take jobs. */
    enum Intake {
        /** With the share client that the product chooses. */
        DEFAULT,
        OWN,
        KAFKA,
        CLASSIC,
        /** With the other share client in every second replica. */
        MIXED;

        /** @param name an empty name is the default */
        static Intake of(String name) {
            return name.isBlank() ? DEFAULT : valueOf(name.toUpperCase(Locale.ROOT));
        }

        private void configure(PenstockProcess.Builder builder, int replica) {
            builder.config("penstock.intake.mode", this == CLASSIC ? "classic" : "share");
            switch (this) {
                case OWN, KAFKA -> builder.config("penstock.intake.share-client", toString());
                case MIXED -> builder.config("penstock.intake.share-client", replica % 2 == 0 ? "own" : "kafka");
                case DEFAULT, CLASSIC -> {}
            }
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** @param heap the heap options of a replica */
    record Shape(int replicas, Intake intake, List<String> heap) {
        Shape {
            heap = List.copyOf(heap);
        }
    }

    /** A model server that may answer slowly, or not at all. */
    static final class Node {
        private static final Duration FOR_EVER = Duration.ofHours(1);

        final FakeUpstream server = FakeUpstream.start();
        private final Random random;
        volatile boolean hangs;
        volatile int slowness = 1;

        Node(long seed) {
            random = new Random(seed);
            server.script(this::answer);
        }

        private Answer answer(UpstreamRequest request) {
            int tokens = 1 + random.nextInt(20);
            Answer answer = Answer.tokens(tokens)
                    .firstTokenAfter(Duration.ofMillis(random.nextInt(300)))
                    .every(Duration.ofMillis((long) random.nextInt(100) * slowness));
            return hangs ? answer.firstTokenAfter(FOR_EVER) : answer;
        }
    }

    private Installation(Shape shape, BrokerProcess broker, Postgres postgres) {
        this.shape = shape;
        this.broker = broker;
        this.postgres = postgres;
    }

    static Installation start(Shape shape) throws InterruptedException {
        Installation made = new Installation(shape, BrokerProcess.start(Broker.freePort()), Postgres.start("chaos"));
        for (int i = 0; i < NODES; i++) {
            made.nodes.add(new Node(i));
        }
        for (int i = 0; i < shape.replicas(); i++) {
            PenstockProcess replica = made.replica(i);
            made.replicas.add(replica);
            replica.awaitReady(PATIENCE);
        }
        return made;
    }

    private PenstockProcess replica(int number) {
        PenstockProcess.Builder builder = PenstockProcess.with(bootstrap())
                .name("chaos-" + number)
                .ledger(postgres)
                .config("penstock.intake.slots", Integer.toString(SLOTS))
                .config("penstock.drain.timeout", "2s")
                .config("penstock.timeouts.first-token", "3s")
                .config("penstock.timeouts.idle", "3s")
                // faults of nodes must not end a job
                .config("penstock.retries.max-attempts", "100");
        shape.heap().forEach(builder::runtimeOption);
        shape.intake().configure(builder, number);
        for (int i = 0; i < NODES; i++) {
            builder.node("node-" + i, "vllm", URI.create(nodes.get(i).server.url()), shape.replicas() * SLOTS);
        }
        return builder.start();
    }

    String bootstrap() {
        return broker.bootstrap();
    }

    BrokerProcess broker() {
        return broker;
    }

    List<PenstockProcess> replicas() {
        return List.copyOf(replicas);
    }

    Postgres postgres() {
        return postgres;
    }

    Node node(int number) {
        return nodes.get(number);
    }

    PenstockProcess replica(Random random) {
        return replicas.get(random.nextInt(replicas.size()));
    }

    /** Kill -9, and a new replica in its place. */
    void killReplica(int number) {
        replicas.get(number).kill9();
        replicas.set(number, replica(number));
    }

    /** SIGTERM, and a new replica in its place after the end. */
    void stopReplica(int number) throws InterruptedException {
        PenstockProcess leaving = replicas.get(number);
        leaving.terminate();
        if (leaving.process().awaitExit(PATIENCE).isEmpty()) {
            throw new IllegalStateException(leaving.process() + " does not end after SIGTERM");
        }
        replicas.set(number, replica(number));
    }

    void killBroker() throws InterruptedException {
        broker = broker.killAndRestart();
    }

    /** Waits until everything runs again and takes jobs. */
    void heal() throws InterruptedException {
        for (Node node : nodes) {
            node.hangs = false;
            node.slowness = 1;
        }
        for (int i = 0; i < shape.replicas(); i++) {
            if (!replicas.get(i).process().isAlive()) {
                throw replicas.get(i).process().failure("was not hurt, and has ended all the same");
            }
            replicas.get(i).awaitReady(PATIENCE);
        }
    }

    @Override
    public void close() {
        replicas.forEach(PenstockProcess::kill9);
        nodes.forEach(node -> node.server.close());
        postgres.close();
        broker.kill9();
    }
}
