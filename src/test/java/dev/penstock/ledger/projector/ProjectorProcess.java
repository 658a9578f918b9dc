package dev.penstock.ledger.projector;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.ledger.row.Projection;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Postgres;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The product's projector as a process of its own, until its standard input ends. Arguments: BOOTSTRAP, then an SQLite
 * file or a JDBC URL.
 */
final class ProjectorProcess {
    private ProjectorProcess() {}

    public static void main(String... args) throws Exception {
        Settings settings = TestSettings.defaults();
        KafkaClients kafka = new KafkaClients(Map.of("bootstrap.servers", args[0]), settings.maxRecord());
        LedgerDatabase database = args[1].startsWith("jdbc:")
                ? TestLedgers.postgres(args[1], Postgres.USERNAME)
                : TestLedgers.sqlite(Path.of(args[1]));
        ReplyTopic replies = new ReplyTopic(kafka, settings);
        Map<String, UUID> topicIds = new ConcurrentHashMap<>(Map.of("prompt-jobs", new UUID(1, 2)));
        Projector projector = new Projector(
                database,
                kafka,
                settings,
                new BatchWriter(
                        database,
                        new Projection(settings, topicIds),
                        replies::partitionOf,
                        Clock.systemUTC(),
                        new SimpleMeterRegistry()),
                new TopicWatch(database, kafka, settings, topicIds, Clock.systemUTC()),
                Clock.systemUTC(),
                IntakeMode.SHARE,
                "the-only-one");
        projector.start();
        System.out.println("ready");
        System.in.transferTo(OutputStream.nullOutputStream());
    }
}
