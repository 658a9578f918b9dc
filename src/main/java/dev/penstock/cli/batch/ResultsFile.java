package dev.penstock.cli.batch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.job.Draft;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import dev.penstock.wire.OwnerOnly;
import dev.penstock.wire.document.ErrorDocument;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The file with the results of a run: one line per job, in the order of the outcomes. Opening an existing file reads
 * which jobs have results, and removes an incomplete last line. A lock prevents a second run from using the file.
 * Thread-safe.
 */
public final class ResultsFile implements AutoCloseable {
    /** The beginning of every line. */
    private static final String BEGINNING = "{\"line\":";

    private final Path path;
    private final FileChannel channel;
    private final boolean retryFailed;
    /** Maps the number of each line in the file of jobs to the last result of this line. */
    private final Map<Long, Result> before = new HashMap<>();

    /**
     * The content of one line of this file.
     *
     * @param id the job's id; empty if the line in the file of jobs was not a valid job
     * @param ended true if the job has an outcome; false if it was refused, so that its id is free
     */
    private record Result(String id, boolean ended, boolean completed) {}

    private ResultsFile(Path path, FileChannel channel, boolean retryFailed) {
        this.path = path;
        this.channel = channel;
        this.retryFailed = retryFailed;
    }

    /** @param retryFailed whether to run a job again if its last result is not {@code completed} */
    public static ResultsFile open(Path path, boolean retryFailed) throws Problem {
        if (Files.exists(path, LinkOption.NOFOLLOW_LINKS) && !Files.isRegularFile(path)) {
            throw Problem.usage("--out: %s is no file; name another one".formatted(path));
        }
        try {
            FileChannel channel = OwnerOnly.open(path);
            try {
                ResultsFile results = new ResultsFile(path, channel, retryFailed);
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
            // the lock lasts until the channel is closed
            if (channel.tryLock() != null) {
                return;
            }
        } catch (OverlappingFileLockException _) {
            // the code below reports this failure
        }
        throw Problem.usage("--out: another run writes to " + path);
    }

    /**
     * Reads the existing results. This method changes the file only after it has read all lines, and only if all of
     * them are results.
     */
    private void readBack() throws IOException, Problem {
        refuseByFirstBytes();
        // not closed, because closing the reader would also close the channel
        @SuppressWarnings("resource")
        ByteLines lines = new ByteLines(Channels.newInputStream(channel));
        long whole = 0;
        byte[] line = lines.next();
        for (; line != null && lines.ended(); line = lines.next()) {
            whole = lines.position();
            if (!ByteLines.isBlank(line)) {
                note(line);
            }
        }
        if (line != null && !isBegunResult(line)) {
            throw foreign();
        }
        channel.truncate(whole);
        channel.position(whole);
    }

    private void note(byte[] line) throws Problem {
        JsonNode result = Json.parseLenient(new String(line, StandardCharsets.UTF_8));
        JsonNode number = result == null ? null : result.get("line");
        if (result == null
                || number == null
                || !number.isIntegralNumber()
                || !number.canConvertToLong()
                || !(result.path("job").isObject() || result.path("error").isObject())) {
            throw foreign();
        }
        JsonNode job = result.path("job");
        String event = job.path("event").asText();
        before.put(
                number.longValue(), new Result(job.path("id").asText(""), !event.isEmpty(), event.equals("completed")));
    }

    /** Rejects a file of another kind by its first bytes, because a large file may be one single line. */
    private void refuseByFirstBytes() throws IOException, Problem {
        ByteBuffer first = ByteBuffer.allocate(BEGINNING.length());
        channel.read(first, 0);
        byte[] bytes = Arrays.copyOf(first.array(), first.position());
        if (bytes.length > 0 && !isBegunResult(bytes) && bytes[0] != '\n' && bytes[0] != '\r') {
            throw foreign();
        }
    }

    /** Returns whether a line without a line break can be a truncated result. Only such a line is removed. */
    private static boolean isBegunResult(byte[] line) {
        String begun = new String(line, StandardCharsets.UTF_8);
        return BEGINNING.startsWith(begun) || begun.startsWith(BEGINNING);
    }

    private Problem foreign() {
        return Problem.usage("--out: %s holds something else than results; name another file".formatted(path));
    }

    /** Returns the number of lines that had a final result when the file was opened. */
    long doneBefore() {
        return before.values().stream().filter(this::stands).count();
    }

    /** Returns how many of these final results are not {@code completed}. */
    long failedBefore() {
        return before.values().stream()
                .filter(result -> stands(result) && !result.completed())
                .count();
    }

    private boolean stands(Result result) {
        return result.completed() || !retryFailed;
    }

    /** Returns whether this line has a final result. Throws a problem if the result belongs to another job. */
    boolean holds(JobLine line) throws Problem {
        Result result = before.get(line.number());
        if (result == null) {
            return false;
        }
        boolean same = result.id().isEmpty()
                || switch (line) {
                    case JobLine.Job(long _, Draft draft) -> draft.isIdOfRetry(result.id());
                    case JobLine.Malformed _ -> true;
                };
        if (same) {
            return stands(result);
        }
        throw Problem.usage(
                "--out: line %d of %s was another job (%s): the jobs or the options have changed; name another file"
                        .formatted(line.number(), path, result.id()));
    }

    /** Returns the job to submit for a line. If the line's last job has an outcome, this is a retry with a new id. */
    Draft next(JobLine.Job line) {
        Result result = before.get(line.number());
        return result == null || !result.ended() ? line.draft() : line.draft().retryOf(new JobId(result.id()));
    }

    void outcome(long line, ValidEvent outcome) throws Problem {
        String json = outcome.json();
        int brace = json.indexOf('{');
        if (brace < 0 || json.indexOf('\n') >= 0) {
            throw Problem.brokenOff("an outcome is no JSON object on one line");
        }
        append(BEGINNING + line + "," + json.substring(brace + 1));
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
            // nothing is lost: every line is already written
        }
    }
}
