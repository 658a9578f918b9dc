package dev.penstock.wire;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/** Finds the known name that is nearest to a mistyped one, by edit distance. */
public final class Nearest {
    private static final int LONGEST = 64;

    private Nearest() {}

    public static Optional<String> of(String name, Collection<String> known) {
        String typed = name.length() > LONGEST ? name.substring(0, LONGEST) : name;
        return known.stream().min(Comparator.comparingInt(candidate -> distance(typed, candidate)));
    }

    /**
     * Returns the nearest name if a typing mistake is likely.
     *
     * @param most the largest number of changed characters
     */
    public static Optional<String> within(int most, String name, Collection<String> known) {
        return of(name, known).filter(nearest -> distance(name, nearest) <= most);
    }

    private static int distance(String a, String b) {
        int[] previous = new int[b.length() + 1];
        int[] current = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            previous[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            current[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int change = a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1;
                current[j] = Math.min(Math.min(current[j - 1] + 1, previous[j] + 1), previous[j - 1] + change);
            }
            int[] swap = previous;
            previous = current;
            current = swap;
        }
        return previous[b.length()];
    }
}
