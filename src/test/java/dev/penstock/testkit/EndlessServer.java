package dev.penstock.testkit;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * A model server that never ends its answers. After the beginning it repeats the same piece until the client closes
 * the connection.
 */
public final class EndlessServer implements AutoCloseable {
    private static final int CHUNK = 65_536;

    private final ServerSocket listening;
    private final AtomicReference<@Nullable String> listing = new AtomicReference<>();
    private final AtomicReference<Says> says = new AtomicReference<>();
    private final AtomicLong sent = new AtomicLong();
    private final AtomicLong hungUp = new AtomicLong();

    private record Says(String head, String begin, String again) {}

    public EndlessServer() {
        try {
            listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread.ofVirtual().start(this::accept);
    }

    /** Answers every GET with a finite list of models, in place of the endless answer. */
    public EndlessServer lists(String model) {
        String list = "{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\"}]}".formatted(model);
        listing.set(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                        .formatted(list.length(), list));
        return this;
    }

    /** Sets the answer to every request from now on. */
    public EndlessServer says(int status, String type, String begin, String again) {
        String head = "HTTP/1.1 %d X\r\nContent-Type: %s\r\nConnection: close\r\n\r\n".formatted(status, type);
        says.set(new Says(head, begin, again.repeat(Math.max(1, CHUNK / again.length()))));
        return this;
    }

    public URI url() {
        return URI.create("http://127.0.0.1:" + listening.getLocalPort());
    }

    /** Returns the bytes that clients have read, over all requests. */
    public long sent() {
        return sent.get();
    }

    /** Returns the number of connections that clients have closed. */
    public long hungUp() {
        return hungUp.get();
    }

    private void accept() {
        while (!listening.isClosed()) {
            try {
                Socket socket = listening.accept();
                Thread.ofVirtual().start(() -> serve(socket));
            } catch (IOException _) {
                return;
            }
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            InputStream in = socket.getInputStream();
            StringBuilder head = new StringBuilder();
            while (head.indexOf("\r\n\r\n") < 0) {
                int next = in.read();
                if (next < 0) {
                    return;
                }
                head.append((char) next);
            }
            OutputStream out = socket.getOutputStream();
            String list = listing.get();
            if (list != null && head.indexOf("GET ") == 0) {
                out.write(list.getBytes(StandardCharsets.UTF_8));
                return;
            }
            Says answer = says.get();
            out.write((answer.head + answer.begin).getBytes(StandardCharsets.UTF_8));
            byte[] piece = answer.again.getBytes(StandardCharsets.UTF_8);
            while (true) {
                out.write(piece);
                sent.addAndGet(piece.length);
            }
        } catch (IOException _) {
            hungUp.incrementAndGet();
        }
    }

    @Override
    public void close() {
        try {
            listening.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
