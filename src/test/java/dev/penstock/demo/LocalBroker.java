package dev.penstock.demo;

import dev.penstock.testkit.Broker;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** {@code make broker}: starts a Kafka broker on this machine. Its log stays, so jobs survive a restart. */
public final class LocalBroker {
    private LocalBroker() {}

    public static void main(String... args) throws IOException, InterruptedException {
        int port = Integer.parseInt(args[0]);
        Path folder = Files.createDirectories(Path.of(args[1]));
        try (ServerSocket _ = listening(port)) {
            System.out.println("Starting a broker on port " + port + "; its log is in " + folder);
        } catch (IOException e) {
            System.err.printf(
                    "Port %d cannot be used (%s). Another one: make broker PORT=9192%n", port, e.getMessage());
            System.exit(1);
        }
        Broker broker = Broker.start(port, Map.of(), folder);
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            broker.shutDown();
            ended.countDown();
        }));
        System.out.printf(
                "Kafka is at %s, until Ctrl-C. Penstock on it: KAFKA_BOOTSTRAP_SERVERS=%s make run%n",
                broker.bootstrap(), broker.bootstrap());
        ended.await();
    }

    private static ServerSocket listening(int port) throws IOException {
        ServerSocket socket = new ServerSocket();
        socket.setReuseAddress(true);
        socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        return socket;
    }
}
