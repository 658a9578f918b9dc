package dev.penstock.cli.batch;

import dev.penstock.cli.job.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A file with one job per line. Each call reads the file again.
 *
 * @param options the defaults for each job
 * @param run the run's name
 */
public record JobLines(Path file, JobOptions options, String run) {

    /** Receives the lines in order. */
    interface Reader {
        /** @return false to stop reading */
        boolean take(JobLine line) throws Problem, InterruptedException;
    }

    /** Returns the number of lines that are not blank. */
    public long count() throws Problem {
        try (ByteLines lines = new ByteLines(Files.newInputStream(file))) {
            long count = 0;
            for (byte[] line = lines.next(); line != null; line = lines.next()) {
                count += ByteLines.isBlank(line) ? 0 : 1;
            }
            return count;
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    void forEach(Reader reader) throws Problem, InterruptedException {
        try (ByteLines lines = new ByteLines(Files.newInputStream(file))) {
            long number = 0;
            for (byte[] line = lines.next(); line != null; line = lines.next()) {
                number++;
                if (!ByteLines.isBlank(line) && !reader.take(JobLine.read(number, line, options, run))) {
                    return;
                }
            }
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    /** Throws a problem if the results would overwrite this file. */
    public void refuseAsResults(Path results) throws Problem {
        try {
            if (Files.exists(results) && Files.isSameFile(file, results)) {
                throw Problem.usage("--out: is the same file as --file");
            }
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    private Problem unreadable(IOException e) {
        return Problem.usage("--file: %s cannot be read (%s)"
                .formatted(file, Files.exists(file) ? String.valueOf(e.getMessage()) : "there is no such file"));
    }
}
