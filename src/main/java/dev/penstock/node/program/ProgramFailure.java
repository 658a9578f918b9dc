package dev.penstock.node.program;

import dev.penstock.job.JobFailure;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Finds the cause of a llama.cpp program's failure in its output (observed with 0.7.0). */
final class ProgramFailure {
    private static final Pattern TOO_LONG = Pattern.compile(
            "(\\d+) tokens.*?(?:context size \\(|max )(\\d+)|input line \\((\\d+)\\) exceeds batch size \\((\\d+)");
    private static final Pattern NO_IMAGE = Pattern.compile(
            "failed to decode (?:buffer|image)|unsupported image|failed to load image|mtmd_helper_bitmap_init");
    private static final int SIGNAL = 128;

    private ProgramFailure() {}

    /** @param spoke whether the answer had begun */
    static JobFailure of(int status, String words, boolean spoke) {
        String lower = words.toLowerCase(Locale.ROOT);
        Matcher tooLong = TOO_LONG.matcher(words);
        if (tooLong.find()) {
            String tokens = tooLong.group(1) == null ? tooLong.group(3) : tooLong.group(1);
            String limit = tooLong.group(2) == null ? tooLong.group(4) : tooLong.group(2);
            return JobFailure.of(
                    JobFailure.Code.CONTEXT_LENGTH_EXCEEDED,
                    String.format(
                            Locale.ROOT,
                            "reports that the prompt has %,d tokens, and its limit is %,d: %s",
                            Long.parseLong(tokens),
                            Long.parseLong(limit),
                            words));
        }
        if (lower.contains("grammar") || lower.contains("json schema") || lower.contains("json-schema")) {
            return JobFailure.of(
                    JobFailure.Code.INVALID_REQUEST, "does not understand the schema or grammar: " + words);
        }
        if (NO_IMAGE.matcher(words).find()) {
            return JobFailure.of(JobFailure.Code.INVALID_REQUEST, "cannot read an image of this job: " + words);
        }
        boolean killed = status >= SIGNAL;
        String what = killed
                ? "was ended by signal %d: %s".formatted(status - SIGNAL, words)
                : "failed with status %d: %s".formatted(status, words);
        return JobFailure.of(killed && spoke ? JobFailure.Code.STREAM_BROKEN : JobFailure.Code.NODE_ERROR, what);
    }
}
