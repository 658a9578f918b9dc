package dev.penstock.fuzz;

import dev.penstock.testkit.TestEnvironment;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** REST requests as bytes, and their answers. */
public final class Calls {
    private static final int ANSWER_MILLIS = 45_000;
    private static final int MOST_READ = 1 << 20;
    private static final Pattern STATUS = Pattern.compile("^HTTP/1\\.[01] (\\d{3})");
    private static final Pattern LENGTH =
            Pattern.compile("\r\ncontent-length: (\\d{1,9})\r\n", Pattern.CASE_INSENSITIVE);

    private final URI service;
    private final Published published;

    Calls(URI service, Published published) {
        this.service = service;
        this.published = published;
    }

    /**
     * The answer to a request.
     *
     * @param status 0 if the connection was closed without an answer
     */
    record Answer(int status, String text) {}

    /** Returns what is wrong with the answers to the requests that {@code make fuzz} has kept. */
    public static List<String> wrongAnswersToKept(URI service) {
        Path project = TestEnvironment.projectDir();
        Calls calls = new Calls(service, Published.of(project));
        List<String> wrong = new ArrayList<>();
        try {
            for (Path file : Input.kept(project, "call")) {
                byte[] request = Files.readAllBytes(file);
                calls.wrong(request, calls.send(request))
                        .ifPresent(words -> wrong.add(file.getFileName() + ": " + words));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return wrong;
    }

    /** Returns why this answer is not allowed. */
    Optional<String> wrong(byte[] request, Answer answer) {
        if (answer.status() == 0) {
            return isWhole(request) ? Optional.of("a call gets no answer") : Optional.empty();
        }
        return published.allows(request, answer.status())
                ? Optional.empty()
                : Optional.of("a call is answered with " + answer.status());
    }

    /** Returns whether the request ends as declared, so that the service need not wait for more. */
    private static boolean isWhole(byte[] request) {
        String text = new String(request, StandardCharsets.ISO_8859_1);
        int end = text.indexOf("\r\n\r\n");
        Matcher length = LENGTH.matcher(text.substring(0, Math.max(0, end) + (end < 0 ? 0 : 2)));
        int body = length.find() ? Integer.parseInt(length.group(1)) : 0;
        return end >= 0
                && text.matches("(?s)[A-Z]+ /[!-~]* HTTP/1\\.1\r\n.*")
                && body == text.length() - end - 4
                && !length.find();
    }

    /** Sends a request unchanged, and reads until the answer ends, or is a stream that continues. */
    Answer send(byte[] request) {
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), service.getPort())) {
            socket.setSoTimeout(ANSWER_MILLIS);
            socket.getOutputStream().write(request);
            if (!isWhole(request)) {
                // no more data comes
                socket.shutdownOutput();
            }
            byte[] piece = new byte[8192];
            int n = socket.getInputStream().read(piece);
            while (n >= 0 && answer.size() < MOST_READ) {
                answer.write(piece, 0, n);
                // for an event stream the first bytes are enough
                n = text(answer).contains("text/event-stream")
                        ? -1
                        : socket.getInputStream().read(piece);
            }
        } catch (SocketTimeoutException _) {
            // the bytes so far count
        } catch (IOException _) {
            // reset, perhaps after its answer
        }
        Matcher status = STATUS.matcher(text(answer));
        return new Answer(
                status.find() ? Integer.parseInt(status.group(1)) : 0, answer.toString(StandardCharsets.UTF_8));
    }

    private static String text(ByteArrayOutputStream answer) {
        return answer.toString(StandardCharsets.ISO_8859_1);
    }
}
