package dev.penstock.cli.job;

import dev.penstock.job.EventMark;
import java.util.LinkedHashMap;
import java.util.Map;

/** The result of a command, with its exit code. */
public enum Ending {
    COMPLETED(0, "completed, or the command succeeded"),
    FAILED(1, "the job or the pull failed; with --file: not all jobs are completed"),
    USAGE(2, "the command line is wrong"),
    CANCELLED(3, "the job was cancelled"),
    EXPIRED(4, "the job's deadline passed"),
    REFUSED(5, "the job was rejected, or the request refused"),
    BROKEN_OFF(6, "not reachable, or broken off before the outcome"),
    INTERRUPTED(130, "interrupted; what was submitted goes on");

    private final int exitCode;
    private final String meaning;

    Ending(int exitCode, String meaning) {
        this.exitCode = exitCode;
        this.meaning = meaning;
    }

    public int exitCode() {
        return exitCode;
    }

    /** Returns the result of a command that has followed a job, by the job's last event. */
    public static Ending of(EventMark.Kind last) {
        return switch (last) {
            case COMPLETED -> COMPLETED;
            case FAILED -> FAILED;
            case CANCELLED -> CANCELLED;
            case EXPIRED -> EXPIRED;
            case REJECTED -> REFUSED;
            case STARTED, CHUNK -> BROKEN_OFF;
        };
    }

    /** Returns the exit codes with their meaning, for the help text. */
    public static Map<String, String> documented() {
        Map<String, String> codes = new LinkedHashMap<>();
        for (Ending ending : values()) {
            codes.put(" " + ending.exitCode, ending.meaning);
        }
        return codes;
    }
}
