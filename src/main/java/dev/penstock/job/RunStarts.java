package dev.penstock.job;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The number of the first attempt of each run of a job, in order. A list that grows reveals a job that crashes its
 * process repeatedly. The latest runs are enough, because four crashed runs are poison. A replica does not count the
 * runs that it ended itself.
 *
 * @param attempts the latest attempts, {@link #MOST} at most
 */
public record RunStarts(List<Integer> attempts) {
    /** The length limit of the list. A job that is handed back each minute for a week has ten thousand runs. */
    public static final int MOST = 64;

    public static final RunStarts NONE = new RunStarts(List.of());

    public RunStarts {
        attempts = List.copyOf(attempts.subList(Math.max(0, attempts.size() - MOST), attempts.size()));
    }

    /** @param before the state of the job before this event; the event is valid */
    public RunStarts after(Reading before, EventMark event) {
        if (event.kind() != EventMark.Kind.STARTED || event.run().equals(before.run())) {
            return this;
        }
        List<Integer> more = new ArrayList<>(attempts);
        more.add(event.attempt());
        return new RunStarts(more);
    }

    /**
     * Returns the number of runs that began after an attempt.
     *
     * @param others the first attempts of the runs that do not count
     */
    public int after(int attempt, Collection<Integer> others) {
        return (int) attempts.stream()
                .filter(first -> first > attempt && !others.contains(first))
                .count();
    }

    public String toText() {
        return attempts.stream().map(String::valueOf).collect(Collectors.joining(","));
    }

    public static RunStarts ofText(String text) {
        return text.isEmpty()
                ? NONE
                : new RunStarts(
                        Arrays.stream(text.split(",")).map(Integer::valueOf).toList());
    }
}
