package dev.penstock.wire;

import java.util.Optional;

/** What models are called: by jobs, and by the servers that list them. */
public final class ModelName {
    private static final String HUB = "hf:";
    private static final String HUB_AT_OLLAMA = "hf.co/";
    private static final String LATEST = ":latest";

    /** Names stand in messages, metrics, rows and their indexes. */
    public static final int LONGEST = 256;

    private ModelName() {}

    /** Whether jobs can name it: on one line, and not too long. */
    public static boolean isUsable(String name) {
        return !name.isBlank() && name.length() <= LONGEST && name.chars().noneMatch(Character::isISOControl);
    }

    /** Of {@code hf:user/repo:quant} what comes after the colon; empty: the name is none of Hugging Face's. */
    public static Optional<String> onHub(String name) {
        return name.startsWith(HUB) && name.length() > HUB.length()
                ? Optional.of(name.substring(HUB.length()))
                : Optional.empty();
    }

    /** The name in full, as Ollama lists it: with its tag. */
    public static String atOllama(String name) {
        String path = onHub(name)
                .map(repository -> HUB_AT_OLLAMA + repository)
                .orElse(name.replaceFirst("^(?:registry\\.ollama\\.ai/)?(?:library/)?", ""));
        return path.indexOf(':', path.lastIndexOf('/') + 1) < 0 ? path + LATEST : path;
    }

    /** Anthropic lists its models with their dates alone, and takes them without too. */
    private static boolean isDated(String listed, String named) {
        String undated = named.endsWith("-latest") ? named.substring(0, named.length() - "-latest".length()) : named;
        return listed.startsWith(undated + "-")
                && listed.substring(undated.length()).matches("-20\\d{6}");
    }

    /** Whether a server's model is the one that a job names: a name without a tag or a date is its latest. */
    public static boolean same(String listed, String named) {
        return listed.equals(named)
                || listed.equals(named + LATEST)
                || named.equals(listed + LATEST)
                || isDated(listed, named)
                || (named.matches("(?:registry\\.ollama\\.ai/|library/).*") && listed.equals(atOllama(named)))
                || onHub(named)
                        .filter(repository ->
                                listed.equalsIgnoreCase(repository) || listed.equalsIgnoreCase(atOllama(named)))
                        .isPresent();
    }
}
