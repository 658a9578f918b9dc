package dev.penstock.job;

/**
 * Tokens as the node counted them.
 *
 * @param promptTokens of the whole prompt
 * @param cachedTokens those of them that came out of the node's cache, where it says so
 */
public record Usage(long promptTokens, long completionTokens, long cachedTokens) {
    public static final Usage NONE = new Usage(0, 0);

    public Usage(long promptTokens, long completionTokens) {
        this(promptTokens, completionTokens, 0);
    }

    public long totalTokens() {
        return promptTokens + completionTokens;
    }
}
