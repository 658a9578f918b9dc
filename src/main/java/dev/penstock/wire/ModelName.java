package dev.penstock.wire;

import java.util.Optional;

/** The names of models, in jobs and in the lists of servers. */
public final class ModelName {
    private static final String HUB = "hf:";
    private static final String HUB_AT_OLLAMA = "hf.co/";
    private static final String LATEST = ":latest";

    /** The longest name. The limit exists because names are part of messages, metrics, database rows and indexes. */
    public static final int LONGEST = 256;

    private ModelName() {}

    /** Returns whether jobs can use the name. It must be on one line, and not too long. */
    public static boolean isUsable(String name) {
        return !name.isBlank() && name.length() <= LONGEST && name.chars().noneMatch(Character::isISOControl);
    }

    /**
     * Returns the part of {@code hf:user/repo:quant} after {@code hf:}; empty if the name is not from Hugging
     * Face.
     */
    public static Optional<String> onHub(String name) {
        return name.startsWith(HUB) && name.length() > HUB.length()
                ? Optional.of(name.substring(HUB.length()))
                : Optional.empty();
    }

    /** Returns the full name in Ollama's lists, with its tag. */
    public static String atOllama(String name) {
        String path = onHub(name)
                .map(repository -> HUB_AT_OLLAMA + repository)
                .orElse(name.replaceFirst("^(?:registry\\.ollama\\.ai/)?(?:library/)?", ""));
        return path.indexOf(':', path.lastIndexOf('/') + 1) < 0 ? path + LATEST : path;
    }

    /**
     * Returns whether the listed name is the wanted name with a date. Anthropic lists its models only with their dates,
     * but accepts the names without dates too.
     */
    private static boolean isDated(String listed, String wanted) {
        String undated =
                wanted.endsWith("-latest") ? wanted.substring(0, wanted.length() - "-latest".length()) : wanted;
        return listed.startsWith(undated + "-")
                && listed.substring(undated.length()).matches("-20\\d{6}");
    }

    /**
     * Returns whether a server's model is the model that a job names. A name without a tag or a date means the latest
     * version.
     */
    public static boolean same(String listed, String wanted) {
        return listed.equals(wanted)
                || listed.equals(wanted + LATEST)
                || wanted.equals(listed + LATEST)
                || isDated(listed, wanted)
                || (wanted.matches("(?:registry\\.ollama\\.ai/|library/).*") && listed.equals(atOllama(wanted)))
                || onHub(wanted)
                        .filter(repository ->
                                listed.equalsIgnoreCase(repository) || listed.equalsIgnoreCase(atOllama(wanted)))
                        .isPresent();
    }
}
