package dev.penstock.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.wire.ErrorDocument;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The results of a run, one line per job, added as outcomes come. Opened again it knows which lines have theirs; a last
 * line that was cut off by a kill is removed. Locked against a second run. May be used by many threads.
 */
final class ResultsFile implements AutoCloseable {
    private final Path path;
    private final FileChannel channel;
    /** Line number to job id; "" where the line was no job. */
    private final Map<Long, String> before = new HashMap<>();

    private long failedBefore;

    private ResultsFile(Path path, FileChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    static ResultsFile open(Path path) throws Problem {
        try {
            FileChannel channel = FileChannel.open(
                    path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            try {
                ResultsFile results = new ResultsFile(path, channel);
                results.lock();
                results.readBack();
                return results;
            } catch (IOException | Problem e) {
                channel.close();
                throw e;
            }
        } catch (IOException e) {
            throw Problem.usage("--out: %s cannot be opened (%s)".formatted(path, e));
        }
    }

    private void lock() throws IOException, Problem {
        try {
            // held until the channel is closed
            if (channel.tryLock() != null) {
                return;
            }
        } catch (OverlappingFileLockException _) {
            // told below
        }
        throw Problem.usage("--out: another run writes to " + path);
    }

    private void readBack() throws IOException, Problem {
        // closing the lines would close the channel
        @SuppressWarnings("resource")
        ByteLines lines = new ByteLines(Channels.newInputStream(channel));
        long whole = 0;
        for (byte[] line = lines.next(); line != null && lines.ended(); line = lines.next()) {
            whole = lines.position();
            if (!ByteLines.isBlank(line)) {
                note(line);
            }
        }
        channel.truncate(whole);
        channel.position(whole);
    }

    private void note(byte[] line) throws Problem {
        JsonNode result = Json.parseLenient(new String(line, StandardCharsets.UTF_8));
        JsonNode number = result == null ? null : result.get("line");
        if (result == null || number == null || !number.canConvertToLong()) {
            throw Problem.usage("--out: %s holds something else than results; name another file".formatted(path));
        }
        JsonNode job = result.path("job");
        before.put(number.longValue(), job.path("id").asText(""));
        if (!isCompleted(job.path("event").asText())) {
            failedBefore++;
        }
    }

    private static boolean isCompleted(String event) {
        return event.equals("completed");
    }

    long doneBefore() {
        return before.size();
    }

    long failedBefore() {
        return failedBefore;
    }

    /** Whether this line has its result already; results of other jobs than these are a problem. */
    boolean holds(JobLine line) throws Problem {
        String id = before.get(line.number());
        if (id == null) {
            return false;
        }
        String expected = switch (line) {
            case JobLine.Job(long _, Draft draft) -> draft.id().value();
            case JobLine.Malformed _ -> "";
        };
        if (id.isEmpty() || expected.isEmpty() || id.equals(expected)) {
            return true;
        }
        throw Problem.usage(
                "--out: line %d of %s was another job (%s): the jobs or the options have changed; name another file"
                        .formatted(line.number(), path, id));
    }

    void outcome(long line, ValidEvent outcome) throws Problem {
        String json = outcome.json();
        int brace = json.indexOf('{');
        if (brace < 0 || json.indexOf('\n') >= 0) {
            throw Problem.brokenOff("an outcome is no JSON object on one line");
        }
        append("{\"line\":" + line + "," + json.substring(brace + 1));
    }

    void refused(long line, @Nullable JobId id, JsonNode error) throws Problem {
        ObjectNode result = Json.mapper().createObjectNode().put("line", line);
        if (id != null) {
            result.putObject("job").put("id", id.value());
        }
        result.set("error", error);
        append(result.toString());
    }

    void malformed(long line, JobFailure failure) throws Problem {
        refused(line, null, ErrorDocument.of(failure).path("error"));
    }

    private synchronized void append(String line) throws Problem {
        ByteBuffer bytes = StandardCharsets.UTF_8.encode(line + "\n");
        try {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (IOException e) {
            throw Problem.brokenOff("%s cannot be written (%s)".formatted(path, e.getMessage()));
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException _) {
            // every line has been written already
        }
    }
}
