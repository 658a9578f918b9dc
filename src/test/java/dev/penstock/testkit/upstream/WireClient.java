package dev.penstock.testkit.upstream;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** A connection with raw bytes: a test sends and reads exactly what is on the wire. */
final class WireClient implements AutoCloseable {
    private static final int PATIENCE_MILLIS = 10_000;

    private final Socket socket;
    private final InputStream in;

    WireClient(FakeUpstream fake) throws IOException {
        socket = new Socket();
        socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), fake.port()), PATIENCE_MILLIS);
        socket.setSoTimeout(PATIENCE_MILLIS);
        socket.setTcpNoDelay(true);
        in = socket.getInputStream();
    }

    WireClient send(String bytes) throws IOException {
        socket.getOutputStream().write(bytes.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    WireClient post(String path, String json, String... headers) throws IOException {
        return send("POST", path, json, headers);
    }

    WireClient send(String method, String path, String json, String... headers) throws IOException {
        int length = json.getBytes(StandardCharsets.UTF_8).length;
        String more = headers.length == 0 ? "" : String.join("\r\n", headers) + "\r\n";
        return send(method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + more
                + "Content-Type: application/json\r\nContent-Length: " + length + "\r\n\r\n" + json);
    }

    WireClient get(String path, String... headers) throws IOException {
        String more = headers.length == 0 ? "" : String.join("\r\n", headers) + "\r\n";
        return send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n");
    }

    /** Reads the next response, up to the end of its framing or of the connection. */
    Recording response() throws IOException {
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        while (true) {
            int b = in.read();
            if (b < 0) {
                return Recording.parse("cut off", read.toString(StandardCharsets.ISO_8859_1));
            }
            read.write(b);
            if (b == '\n' || in.available() == 0) {
                Optional<Recording> whole = whole(read.toString(StandardCharsets.ISO_8859_1));
                if (whole.isPresent()) {
                    return whole.get();
                }
            }
        }
    }

    private static Optional<Recording> whole(String read) {
        return read.contains("\r\n\r\n")
                ? Optional.of(Recording.parse("read", read)).filter(Recording::ended)
                : Optional.empty();
    }

    /** Reads everything until the server closes the connection. */
    String rest() throws IOException {
        return new String(in.readAllBytes(), StandardCharsets.ISO_8859_1);
    }

    /** Reads up to and with this text. */
    String until(String text) throws IOException {
        StringBuilder read = new StringBuilder();
        while (read.indexOf(text) < 0) {
            int b = in.read();
            if (b < 0) {
                throw new IOException("the connection ended after: " + read);
            }
            read.append((char) b);
        }
        return read.toString();
    }

    int read(byte[] into) throws IOException {
        return in.read(into);
    }

    void halfClose() throws IOException {
        socket.shutdownOutput();
    }

    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }

    static String chat(String prompt, String more) {
        return "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"" + prompt + "\"}]" + more + "}";
    }
}
