package dev.penstock.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.properties.MetaProperties;
import org.apache.kafka.metadata.properties.MetaPropertiesEnsemble;
import org.apache.kafka.metadata.properties.MetaPropertiesVersion;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.server.common.MetadataVersion;

/** A real Kafka broker (KRaft, one node) in this JVM, on free ports of 127.0.0.1, with its log in a new folder. */
public final class Broker implements AutoCloseable {
    private static final int FIRST_PORT = 12_000;
    private static final int LAST_PORT = 32_000;
    private static final int TEST_JVMS = 4;
    private static final int TEST_JVM = Integer.getInteger("surefire.forkNumber", 0) % TEST_JVMS;
    private static final Set<Integer> GIVEN_PORTS = ConcurrentHashMap.newKeySet();

    private final Path folder;
    private final int port;
    private final KafkaRaftServer server;
    private final int proxiedPort;

    private Broker(Path folder, int port, KafkaRaftServer server, int proxiedPort) {
        this.folder = folder;
        this.port = port;
        this.server = server;
        this.proxiedPort = proxiedPort;
    }

    public static Broker start() {
        return start(freePort(), Map.of());
    }

    /**
     * Starts a broker that clients reach through a {@link KafkaProxy}.
     *
     * @param proxyPort the advertised port for clients of the listener at {@link #proxiedPort}
     */
    public static Broker behindProxy(int proxyPort) {
        int port = freePort();
        int proxied = freePort();
        Broker broker = start(
                port,
                Map.of(
                        "listeners",
                        "PLAINTEXT://127.0.0.1:%d,PROXIED://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d"
                                .formatted(port, proxied, freePort()),
                        "advertised.listeners",
                        "PLAINTEXT://127.0.0.1:%d,PROXIED://127.0.0.1:%d".formatted(port, proxyPort),
                        "inter.broker.listener.name",
                        "PLAINTEXT",
                        "listener.security.protocol.map",
                        "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT"));
        return new Broker(broker.folder, broker.port, broker.server, proxied);
    }

    /** @param more broker settings that override the kit's own */
    public static Broker start(int port, Map<String, String> more) {
        try {
            return start(port, more, Files.createTempDirectory("penstock-broker"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @param folder the folder of the log; the broker continues an existing log */
    public static Broker start(int port, Map<String, String> more, Path folder) {
        try {
            Map<String, String> settings = settings();
            int controller = freePort();
            settings.put("process.roles", "broker,controller");
            settings.put("node.id", "1");
            settings.put("controller.quorum.voters", "1@127.0.0.1:" + controller);
            settings.put("listeners", "PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d".formatted(port, controller));
            settings.put("advertised.listeners", "PLAINTEXT://127.0.0.1:" + port);
            settings.put("log.dirs", folder.toString());
            settings.putAll(more);
            settings.put(
                    "controller.quorum.voters", "1@" + settings.get("listeners").replaceFirst(".*CONTROLLER://", ""));
            if (!Files.exists(folder.resolve("meta.properties"))) {
                format(folder, Uuid.randomUuid().toString(), 1);
            }
            Properties properties = new Properties();
            properties.putAll(settings);
            KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(properties, false), Time.SYSTEM);
            server.startup();
            Broker broker = new Broker(folder, port, server, 0);
            broker.awaitReady();
            return broker;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The settings of every broker of the kit. */
    static Map<String, String> settings() {
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put("controller.listener.names", "CONTROLLER");
        settings.put("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
        settings.put("offsets.topic.replication.factor", "1");
        settings.put("transaction.state.log.replication.factor", "1");
        settings.put("transaction.state.log.min.isr", "1");
        settings.put("share.coordinator.state.topic.replication.factor", "1");
        settings.put("share.coordinator.state.topic.min.isr", "1");
        settings.put("offsets.topic.num.partitions", "4");
        settings.put("share.coordinator.state.topic.num.partitions", "4");
        settings.put("group.initial.rebalance.delay.ms", "0");
        settings.put("auto.create.topics.enable", "false");
        // a share consumer's first record comes with its second heartbeat: 5 s by default
        settings.put("group.share.min.heartbeat.interval.ms", "500");
        settings.put("group.share.heartbeat.interval.ms", "500");
        settings.put("group.share.min.session.timeout.ms", "5000");
        settings.put("group.share.session.timeout.ms", "6000");
        settings.put("group.share.min.record.lock.duration.ms", "1000");
        settings.put("group.share.max.size", "1000");
        return settings;
    }

    static void format(Path folder, String clusterId, int node) throws IOException {
        MetaProperties properties = new MetaProperties.Builder()
                .setVersion(MetaPropertiesVersion.V1)
                .setClusterId(clusterId)
                .setNodeId(node)
                .build();
        Formatter formatter = new Formatter();
        formatter
                .setNodeId(node)
                .setClusterId(properties.clusterId().orElseThrow())
                .setReleaseVersion(MetadataVersion.latestProduction())
                .setControllerListenerName("CONTROLLER")
                .setMetadataLogDirectory(folder.toString())
                .addDirectory(folder.toString());
        try {
            formatter.run();
        } catch (IOException e) {
            throw e;
        } catch (Exception e) {
            throw new IOException(e);
        }
        if (new MetaPropertiesEnsemble.Loader()
                .addMetadataLogDir(folder.toString())
                .load()
                .clusterId()
                .isEmpty()) {
            throw new IOException("the log folder was not formatted");
        }
    }

    private void awaitReady() {
        try (Admin admin = admin()) {
            admin.describeCluster().nodes().get(60, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("the broker did not come up", e);
        }
    }

    public String bootstrap() {
        return "127.0.0.1:" + port;
    }

    public int port() {
        return port;
    }

    /** Returns the port for a {@link KafkaProxy}. */
    public int proxiedPort() {
        return proxiedPort;
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

    /** Changes one byte of a topic's log on the disk: the byte before the first occurrence of these bytes. */
    public void damage(String topic, int partition, byte[] bytes) {
        Path segment = folder.resolve(topic + "-" + partition).resolve("00000000000000000000.log");
        try (FileChannel file = FileChannel.open(segment, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            String all = new String(Files.readAllBytes(segment), StandardCharsets.ISO_8859_1);
            int at = all.indexOf(new String(bytes, StandardCharsets.ISO_8859_1)) - 1;
            if (at < 0) {
                throw new IllegalArgumentException("they do not lie in " + segment);
            }
            file.write(ByteBuffer.wrap(new byte[] {(byte) (all.charAt(at) ^ 1)}), at);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        shutDown();
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Ends the broker; its log stays. */
    public void shutDown() {
        server.shutdown();
        server.awaitShutdown();
    }

    /**
     * Returns the settings of a broker with a second listener. {@code security.protocol} is PLAINTEXT at the first one.
     *
     * @param protocol the protocol of the second listener, {@code secured} in the names of its settings
     */
    public static Map<String, String> listeners(int plain, int secured, String protocol) {
        Map<String, String> settings = new HashMap<>();
        settings.put(
                "listeners",
                "PLAINTEXT://127.0.0.1:%d,SECURED://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d"
                        .formatted(plain, secured, freePort()));
        settings.put(
                "advertised.listeners", "PLAINTEXT://127.0.0.1:%d,SECURED://127.0.0.1:%d".formatted(plain, secured));
        settings.put("inter.broker.listener.name", "PLAINTEXT");
        settings.put(
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,SECURED:%s,CONTROLLER:PLAINTEXT".formatted(protocol));
        return settings;
    }

    /**
     * Returns a port of 127.0.0.1 without a listener. It is not in the range that Linux gives to outgoing connections
     * (from 32768): such a connection might take the port before the listener, or during a restart of the listener.
     * Each port is given only once, also over several test JVMs, because its listener may start later.
     */
    public static int freePort() {
        while (true) {
            int port = ThreadLocalRandom.current().nextInt(FIRST_PORT, LAST_PORT);
            if (port % TEST_JVMS != TEST_JVM || !GIVEN_PORTS.add(port)) {
                continue;
            }
            try (ServerSocket _ = new ServerSocket(port)) {
                return port;
            } catch (IOException _) {
                // the port is in use
            }
        }
    }

    /**
     * Runs a broker as a process of its own. It prints {@code ready BOOTSTRAP}, and ends when its standard input
     * ends.
     */
    public static void main(String... args) throws IOException {
        int port = args.length > 0 ? Integer.parseInt(args[0]) : freePort();
        Path folder = args.length > 1 ? Path.of(args[1]) : Files.createTempDirectory("penstock-broker");
        try (Broker broker = start(port, Map.of(), folder)) {
            System.out.println("ready " + broker.bootstrap());
            while (System.in.read() >= 0) {
                // until the parent ends
            }
        }
    }
}
