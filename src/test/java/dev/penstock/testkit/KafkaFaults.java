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
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A proxy between a share client and its broker that breaks the answers of share requests at random, with a seed: it
 * drops or delays single ones, stalls connections that stay open, and cuts them.
 */
public final class KafkaFaults implements AutoCloseable {
    private static final int MAX_FRAME = 64 * 1024 * 1024;
    private static final int LONGEST_DELAY_MILLIS = 3_000;
    private static final Map<Short, String> SHARE_REQUESTS =
            Map.of((short) 76, "heartbeat", (short) 78, "fetch", (short) 79, "acknowledge");

    private static final List<Fault> FAULTS = List.copyOf(EnumSet.allOf(Fault.class));

    private final ServerSocket server;
    private final int brokerPort;
    private final long seed;
    private final double rate;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final AtomicLong connections = new AtomicLong();
    /** By fault and request. */
    private final Map<String, Integer> counts = new ConcurrentSkipListMap<>();

    private volatile boolean calm = true;

    /** What happens to one answer. */
    private enum Fault {
        DROP,
        DELAY,
        STALL,
        CUT
    }

    private KafkaFaults(ServerSocket server, int brokerPort, long seed, double rate) {
        this.server = server;
        this.brokerPort = brokerPort;
        this.seed = seed;
        this.rate = rate;
    }

    /**
     * Starts a proxy that passes everything on until {@link #begin}.
     *
     * @param rate the share of answers with a fault
     */
    public static KafkaFaults start(int port, int brokerPort, long seed, double rate) {
        try {
            ServerSocket server = new ServerSocket(port, 512, InetAddress.getLoopbackAddress());
            KafkaFaults faults = new KafkaFaults(server, brokerPort, seed, rate);
            Thread.ofPlatform().daemon().name("kafka-faults").start(faults::accept);
            return faults;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public String bootstrap() {
        return "127.0.0.1:" + server.getLocalPort();
    }

    /** Causes faults from now on. */
    public void begin() {
        calm = false;
    }

    /** Causes no further fault. */
    public void calm() {
        calm = true;
    }

    /** Closes every connection. */
    public void cut() {
        Set.copyOf(sockets).forEach(KafkaFaults::close);
    }

    /** Returns the number of each fault so far, as "drop fetch". */
    public Map<String, Integer> counts() {
        return new TreeMap<>(counts);
    }

    /** Returns every fault that it can cause. */
    public static Set<String> kinds() {
        Set<String> kinds = new TreeSet<>();
        for (Fault fault : FAULTS) {
            SHARE_REQUESTS.values().forEach(request -> kinds.add(name(fault, request)));
        }
        return kinds;
    }

    private static String name(Fault fault, String request) {
        return fault.name().toLowerCase(Locale.ROOT) + " " + request;
    }

    private void accept() {
        while (!server.isClosed()) {
            try {
                Socket client = server.accept();
                Socket broker = new Socket(InetAddress.getLoopbackAddress(), brokerPort);
                client.setTcpNoDelay(true);
                broker.setTcpNoDelay(true);
                sockets.add(client);
                sockets.add(broker);
                Pair pair = new Pair(client, broker, new Random(seed + connections.getAndIncrement()));
                Thread.ofVirtual().start(pair::requests);
                Thread.ofVirtual().start(pair::answers);
            } catch (IOException _) {
                // closed, or the broker is away: the client sees a closed connection
            }
        }
    }

    /** One connection. */
    private final class Pair {
        private final Socket client;
        private final Socket broker;
        private final Random random;
        private final Map<Integer, Short> asked = new ConcurrentHashMap<>();

        Pair(Socket client, Socket broker, Random random) {
            this.client = client;
            this.broker = broker;
            this.random = random;
        }

        void requests() {
            try (client;
                    broker) {
                DataInputStream in = new DataInputStream(client.getInputStream());
                DataOutputStream out = new DataOutputStream(broker.getOutputStream());
                while (true) {
                    byte[] frame = read(in);
                    asked.put(
                            ByteBuffer.wrap(frame).getInt(4),
                            ByteBuffer.wrap(frame).getShort(0));
                    write(out, frame);
                }
            } catch (IOException _) {
                // one side has closed; the other follows
            } finally {
                sockets.remove(client);
                sockets.remove(broker);
            }
        }

        void answers() {
            try (broker;
                    client) {
                DataInputStream in = new DataInputStream(broker.getInputStream());
                DataOutputStream out = new DataOutputStream(client.getOutputStream());
                while (true) {
                    byte[] frame = read(in);
                    Short key = asked.remove(ByteBuffer.wrap(frame).getInt(0));
                    String request = key == null ? null : SHARE_REQUESTS.get(key);
                    if (calm || request == null || random.nextDouble() >= rate) {
                        write(out, frame);
                        continue;
                    }
                    Fault fault = FAULTS.get(random.nextInt(FAULTS.size()));
                    counts.merge(name(fault, request), 1, Integer::sum);
                    switch (fault) {
                        case DROP -> {}
                        case DELAY -> {
                            Thread.sleep(random.nextInt(LONGEST_DELAY_MILLIS));
                            write(out, frame);
                        }
                        case STALL -> {
                            // neither side hears of the other again, until one closes
                            in.readAllBytes();
                            return;
                        }
                        case CUT -> {
                            return;
                        }
                    }
                }
            } catch (IOException _) {
                // one side has closed; the other follows
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static byte[] read(DataInputStream in) throws IOException {
        int size = in.readInt();
        if (size < 4 || size > MAX_FRAME) {
            throw new EOFException("no frame of Kafka");
        }
        return in.readNBytes(size);
    }

    private static void write(DataOutputStream out, byte[] frame) throws IOException {
        out.writeInt(frame.length);
        out.write(frame);
        out.flush();
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
