package dev.penstock.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A file of jobs, one a line; read anew by each call.
 *
 * @param options fill in what a line leaves open
 * @param run the run's name
 */
record JobLines(Path file, JobOptions options, String run) {

    /** Who is given the lines, in order. */
    interface Reader {
        /** @return false: no more */
        boolean take(JobLine line) throws Problem, InterruptedException;
    }

    /** How many lines are not blank. */
    long count() throws Problem {
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

    /** Results are not written over the jobs. */
    void refuseAsResults(Path results) throws Problem {
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
