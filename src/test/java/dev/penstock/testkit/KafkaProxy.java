package dev.penstock.testkit;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A proxy between a Kafka client and its broker, request by request. It can cut connections, and hold back the
 * requests of one kind of client as if they were still on their way. It distinguishes clients by the client id in
 * each request.
 */
public final class KafkaProxy implements AutoCloseable {
    private static final int MAX_FRAME = 64 * 1024 * 1024;

    private final ServerSocket server;
    private final int brokerPort;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();

    private volatile boolean severed;

    /* Guarded by this. */
    private List<String> frozen = List.of();
    private int held;

    private KafkaProxy(ServerSocket server, int brokerPort) {
        this.server = server;
        this.brokerPort = brokerPort;
    }

    /**
     * @param port the broker's advertised port
     * @param brokerPort the port where the broker listens
     */
    public static KafkaProxy start(int port, int brokerPort) {
        try {
            KafkaProxy proxy =
                    new KafkaProxy(new ServerSocket(port, 512, InetAddress.getLoopbackAddress()), brokerPort);
            Thread.ofPlatform().daemon().name("kafka-proxy").start(proxy::accept);
            return proxy;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public String bootstrap() {
        return "127.0.0.1:" + server.getLocalPort();
    }

    /** Stops the requests of clients whose id has one of these prefixes, from now on. */
    public synchronized void freeze(String... clientIdPrefixes) {
        frozen = List.of(clientIdPrefixes);
        held = 0;
    }

    /** Waits until a request is being held back. */
    public synchronized void awaitHeld(Duration patience) throws InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        while (held == 0) {
            long left = (until - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                throw new AssertionError("no request of " + frozen + " came within " + patience);
            }
            wait(left);
        }
    }

    /** Lets everything through again. */
    public synchronized void thaw() {
        frozen = List.of();
        notifyAll();
    }

    /** Closes every connection and drops the held requests. New connections work. */
    public void cut() {
        for (Socket socket : Set.copyOf(sockets)) {
            close(socket);
        }
        thaw();
    }

    /** Closes every connection, and each new one at once, until {@link #mend}. */
    public void sever() {
        severed = true;
        cut();
    }

    public void mend() {
        severed = false;
    }

    private void accept() {
        while (!server.isClosed()) {
            try {
                Socket client = server.accept();
                if (severed) {
                    client.close();
                    continue;
                }
                Socket broker = new Socket(InetAddress.getLoopbackAddress(), brokerPort);
                client.setTcpNoDelay(true);
                broker.setTcpNoDelay(true);
                sockets.add(client);
                sockets.add(broker);
                Thread.ofVirtual().start(() -> requests(client, broker));
                Thread.ofVirtual().start(() -> answers(broker, client));
            } catch (IOException _) {
                // closed, or the broker is away: the client sees a closed connection
            }
        }
    }

    private void requests(Socket client, Socket broker) {
        try (client;
                broker) {
            DataInputStream in = new DataInputStream(client.getInputStream());
            DataOutputStream out = new DataOutputStream(broker.getOutputStream());
            while (true) {
                int size = in.readInt();
                if (size < 0 || size > MAX_FRAME) {
                    throw new EOFException("no Kafka request");
                }
                byte[] frame = in.readNBytes(size);
                hold(clientId(frame));
                if (client.isClosed()) {
                    return;
                }
                out.writeInt(size);
                out.write(frame);
                out.flush();
            }
        } catch (IOException | InterruptedException _) {
            // one side has closed; the other follows
        } finally {
            sockets.remove(client);
            sockets.remove(broker);
        }
    }

    private synchronized void hold(String clientId) throws InterruptedException {
        while (frozen.stream().anyMatch(clientId::startsWith)) {
            held++;
            notifyAll();
            wait();
        }
    }

    /** Reads the client id. Every request begins with api key, api version, correlation id and client id. */
    private static String clientId(byte[] frame) {
        ByteBuffer buffer = ByteBuffer.wrap(frame);
        if (buffer.remaining() < 10) {
            return "";
        }
        int length = buffer.getShort(8);
        return length <= 0 || length > frame.length - 10 ? "" : new String(frame, 10, length, StandardCharsets.UTF_8);
    }

    private static void answers(Socket broker, Socket client) {
        try (broker;
                client) {
            broker.getInputStream().transferTo(client.getOutputStream());
        } catch (IOException _) {
            // one side has closed; the other follows
        }
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException _) {
            // it is gone in any case
        }
    }

    @Override
    public void close() {
        try {
            server.close();
        } catch (IOException _) {
            // it is gone in any case
        }
        cut();
    }
}
