package dev.penstock.node;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;

/**
 * A server that accepts no further connection: waiting connections fill its backlog. It stays for as long as the
 * tests run.
 */
final class FullServer {
    private static final FullServer ONE = new FullServer();

    private final ServerSocket full;
    /** Kept open, so that the backlog stays full. */
    private final List<Socket> waiting = new ArrayList<>();

    private FullServer() {
        try {
            full = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
            fill();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static FullServer get() {
        return ONE;
    }

    URI url() {
        return URI.create("http://127.0.0.1:" + full.getLocalPort());
    }

    private void fill() throws IOException {
        while (waiting.size() < 100) {
            Socket socket = new Socket();
            waiting.add(socket);
            try {
                socket.connect(full.getLocalSocketAddress(), 200);
            } catch (SocketTimeoutException _) {
                return;
            }
        }
        throw new IllegalStateException("the backlog never fills");
    }
}
