package dev.penstock.node;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The end of what a program of llama.cpp has said beside its answer. Thread-safe. */
final class LastLines {
    private static final int KEPT = 40;
    private static final int LONGEST = 2000;
    private static final int SHOWN = 3;

    /** Time and level, as its log has them: {@code 0.00.066.771 E}. */
    private static final Pattern PREFIX = Pattern.compile("^[\\d.]+ ([A-Z]) +");

    /** It comes every 3 s, and would drive out what was said before. */
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

    /** Whether one of the last lines is of this form. */
    synchronized boolean has(Pattern form) {
        return lines.stream().anyMatch(line -> form.matcher(line).find());
    }

    private static void push(Deque<String> onto, String line) {
        onto.addLast(line);
        if (onto.size() > KEPT) {
            onto.removeFirst();
        }
    }

    /** The number that the last line of this form tells; the pattern's first group. */
    synchronized OptionalLong number(Pattern form) {
        return lines.reversed().stream()
                .map(form::matcher)
                .filter(Matcher::find)
                .mapToLong(found -> ServerErrors.number(found.group(1)))
                .findFirst();
    }

    /** The first group of the last error of this form. */
    synchronized Optional<String> error(Pattern form) {
        return errors.reversed().stream()
                .map(form::matcher)
                .filter(Matcher::find)
                .map(found -> found.group(1))
                .findFirst();
    }

    /** Its last errors, or where it named none its last lines, on one line and not too long. */
    synchronized String inShort() {
        List<String> told = List.copyOf(errors.isEmpty() ? lines : errors);
        String last = String.join(
                "; ",
                told.subList(Math.max(0, told.size() - SHOWN), told.size()).stream()
                        .map(line -> PREFIX.matcher(line).replaceFirst(""))
                        .toList());
        return last.isBlank() ? "it said nothing" : ServerErrors.shorten(last);
    }
}
