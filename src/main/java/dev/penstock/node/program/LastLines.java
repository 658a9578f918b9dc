package dev.penstock.node.program;

import dev.penstock.node.protocol.answer.ServerErrors;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The last lines that a program of llama.cpp printed outside of its answer. Thread-safe. */
final class LastLines {
    private static final int KEPT = 40;
    private static final int LONGEST = 2000;
    private static final int SHOWN = 3;

    /** Matches the time and the level at the beginning of a log line, such as {@code 0.00.066.771 E}. */
    private static final Pattern PREFIX = Pattern.compile("^[\\d.]+ ([A-Z]) +");

    /**
     * Matches a progress line. Such a line comes every 3 s, so only the latest one is kept. Otherwise progress lines
     * would displace the earlier lines.
     */
    private static final Pattern PROGRESS = Pattern.compile(" n_gen = ");

    private final Deque<String> lines = new ArrayDeque<>();
    private final Deque<String> errors = new ArrayDeque<>();

    synchronized void add(String line) {
        String kept = line.length() > LONGEST ? line.substring(0, LONGEST) : line;
        if (PREFIX.matcher(kept).replaceFirst("").isBlank()) {
            return;
        }
        if (PROGRESS.matcher(kept).find()
                && !lines.isEmpty()
                && PROGRESS.matcher(lines.getLast()).find()) {
            lines.removeLast();
        }
        push(lines, kept);
        var prefix = PREFIX.matcher(kept);
        if ((prefix.find() && prefix.group(1).equals("E")) || kept.regionMatches(true, 0, "error", 0, 5)) {
            push(errors, kept);
        }
    }

    /** Returns whether one of the last lines matches. */
    synchronized boolean has(Pattern form) {
        return lines.stream().anyMatch(line -> form.matcher(line).find());
    }

    private static void push(Deque<String> onto, String line) {
        onto.addLast(line);
        if (onto.size() > KEPT) {
            onto.removeFirst();
        }
    }

    /** Returns the number in the pattern's first group, from the last line that matches. */
    synchronized OptionalLong number(Pattern form) {
        return lines.reversed().stream()
                .map(form::matcher)
                .filter(Matcher::find)
                .mapToLong(found -> ServerErrors.number(found.group(1)))
                .findFirst();
    }

    /** Returns the text in the pattern's first group, from the last error that matches. */
    synchronized Optional<String> error(Pattern form) {
        return errors.reversed().stream()
                .map(form::matcher)
                .filter(Matcher::find)
                .map(found -> found.group(1))
                .findFirst();
    }

    /** Returns the last errors, or the last lines if there are no errors, on one line and shortened. */
    synchronized String inShort() {
        List<String> reported = List.copyOf(errors.isEmpty() ? lines : errors);
        String last = String.join(
                "; ",
                reported.subList(Math.max(0, reported.size() - SHOWN), reported.size()).stream()
                        .map(line -> PREFIX.matcher(line).replaceFirst(""))
                        .toList());
        return last.isBlank() ? "it printed nothing" : ServerErrors.shorten(last);
    }
}
