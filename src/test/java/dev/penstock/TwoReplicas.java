package dev.penstock;

import dev.penstock.testkit.Broker;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;

/** Two replicas with one PostgreSQL, and with one node of 64 slots for each of them. */
abstract class TwoReplicas {
    static Broker broker;
    static Postgres postgres;
    static FakeUpstream fake;
    static PenstockProcess first;
    static PenstockProcess second;
    static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        postgres = Postgres.start("replicas");
        fake = FakeUpstream.start();
        first = start("first");
        second = start("second");
        first.awaitLedger();
        second.awaitLedger();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    static PenstockProcess start(String name) throws InterruptedException {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .ledger(postgres)
                .node("fake", "vllm", URI.create(fake.url()), 2 * 64)
                .startReady();
    }

    @AfterAll
    static void stop() {
        replies.close();
        first.close();
        second.close();
        fake.close();
        postgres.close();
        broker.close();
    }

    @BeforeEach
    void forget() {
        fake.reset();
    }
}
