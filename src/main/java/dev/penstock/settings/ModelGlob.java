package dev.penstock.settings;

import java.util.Locale;

/**
 * A pattern for names of models. {@code *} stands for any characters, {@code ?} for one character. Upper and lower case
 * make no difference. A pattern without a tag also matches the name with the tag {@code :latest}.
 */
public record ModelGlob(String pattern) {
    private static final String LATEST = ":latest";

    public ModelGlob {
        pattern = pattern.toLowerCase(Locale.ROOT);
    }

    public boolean matches(String name) {
        return matches(name, name.length(), false)
                || (endsWithLatest(name) && matches(name, name.length() - LATEST.length(), false));
    }

    /** Returns whether this pattern matches all names that the other pattern matches. It may miss such a case. */
    public boolean covers(ModelGlob other) {
        return matches(other.pattern, other.pattern.length(), true);
    }

    private static boolean endsWithLatest(String name) {
        return name.regionMatches(true, name.length() - LATEST.length(), LATEST, 0, LATEST.length());
    }

    /**
     * Matches the first characters of a name.
     *
     * @param isPattern whether the name is a pattern itself; a star in it stands for more than one character
     */
    private boolean matches(String name, int length, boolean isPattern) {
        int at = 0;
        int inPattern = 0;
        int star = -1;
        int retry = 0;
        while (at < length) {
            char wanted = inPattern < pattern.length() ? pattern.charAt(inPattern) : 0;
            char given = Character.toLowerCase(name.charAt(at));
            if (wanted == '*') {
                star = inPattern++;
                retry = at;
            } else if (wanted == given || (wanted == '?' && !(isPattern && given == '*'))) {
                at++;
                inPattern++;
            } else if (star >= 0) {
                inPattern = star + 1;
                at = ++retry;
            } else {
                return false;
            }
        }
        while (inPattern < pattern.length() && pattern.charAt(inPattern) == '*') {
            inPattern++;
        }
        return inPattern == pattern.length();
    }

    @Override
    public String toString() {
        return pattern;
    }
}
