package dev.penstock.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.utils.Time;
import org.jspecify.annotations.Nullable;

/** Three real brokers (KRaft, each also a controller) in this JVM. Each keeps its ports and its log over a restart. */
public final class BrokerCluster implements AutoCloseable {
    public static final int SIZE = 3;

    private final Path folder;
    private final String clusterId = Uuid.randomUuid().toString();
    private final int[] ports =
            IntStream.range(0, SIZE).map(_ -> Broker.freePort()).toArray();
    private final int[] controllers =
            IntStream.range(0, SIZE).map(_ -> Broker.freePort()).toArray();
    private final List<@Nullable KafkaRaftServer> servers = new ArrayList<>();

    private BrokerCluster(Path folder) {
        this.folder = folder;
    }

    public static BrokerCluster start() throws InterruptedException {
        try {
            BrokerCluster cluster = new BrokerCluster(Files.createTempDirectory("penstock-cluster"));
            List<Thread> starts = new ArrayList<>();
            for (int i = 0; i < SIZE; i++) {
                cluster.servers.add(null);
                Broker.format(cluster.folder(i), cluster.clusterId, i + 1);
                int broker = i;
                // each waits for a majority of the controllers
                starts.add(Thread.ofPlatform().start(() -> cluster.start(broker)));
            }
            for (Thread start : starts) {
                start.join();
            }
            cluster.awaitAll();
            return cluster;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path folder(int broker) throws IOException {
        return Files.createDirectories(folder.resolve("broker-" + broker));
    }

    private void start(int broker) {
        Map<String, String> settings = new HashMap<>(Broker.settings());
        settings.put("process.roles", "broker,controller");
        settings.put("node.id", Integer.toString(broker + 1));
        settings.put(
                "controller.quorum.voters",
                IntStream.range(0, SIZE)
                        .mapToObj(i -> "%d@127.0.0.1:%d".formatted(i + 1, controllers[i]))
                        .collect(Collectors.joining(",")));
        settings.put(
                "listeners",
                "PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d".formatted(ports[broker], controllers[broker]));
        settings.put("advertised.listeners", "PLAINTEXT://127.0.0.1:" + ports[broker]);
        settings.put("log.dirs", folder.resolve("broker-" + broker).toString());
        for (String topic : List.of("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")) {
            settings.put(topic + ".replication.factor", Integer.toString(SIZE));
        }
        settings.put("transaction.state.log.min.isr", "2");
        settings.put("share.coordinator.state.topic.min.isr", "2");
        // a broker that shuts down hands over its partitions at once; a slow one keeps them
        settings.put("broker.session.timeout.ms", "20000");
        settings.put("broker.heartbeat.interval.ms", "500");
        Properties properties = new Properties();
        properties.putAll(settings);
        KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(properties, false), Time.SYSTEM);
        server.startup();
        servers.set(broker, server);
    }

    private void awaitAll() throws InterruptedException {
        try (Admin admin = admin()) {
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            while (admin.describeCluster().nodes().get(60, TimeUnit.SECONDS).size() < SIZE) {
                if (System.nanoTime() - end > 0) {
                    throw new IllegalStateException("not all brokers came up");
                }
                Thread.sleep(100);
            }
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("the brokers did not come up", e);
        }
    }

    public String bootstrap() {
        return IntStream.of(ports).mapToObj(port -> "127.0.0.1:" + port).collect(Collectors.joining(","));
    }

    public Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap()));
    }

    /** Sets a group's configuration, like an operator with kafka-configs. */
    public void setGroup(String group, String key, String value) throws InterruptedException {
        try (Admin admin = admin()) {
            var op = new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), List.of(op)))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    /** Ends one broker in order: it hands its partitions over. Its log stays. */
    public void shutDown(int broker) {
        KafkaRaftServer server = servers.get(broker);
        if (server != null) {
            servers.set(broker, null);
            server.shutdown();
            server.awaitShutdown();
        }
    }

    /** Starts it again, and waits until the others know it. */
    public void startAgain(int broker) throws InterruptedException {
        start(broker);
        awaitAll();
    }

    @Override
    public void close() {
        List<Thread> ends = IntStream.range(0, SIZE)
                .mapToObj(broker -> Thread.ofPlatform().start(() -> shutDown(broker)))
                .toList();
        for (Thread end : ends) {
            try {
                end.join(TimeUnit.SECONDS.toMillis(30));
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        }
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
