package dev.penstock.testkit.upstream;

/**
 * A model in the server's list.
 *
 * @param loaded whether Ollama's {@code /api/ps} has it too
 */
public record ServedModel(String name, int contextLength, boolean loaded) {
    public ServedModel {
        if (name.isEmpty() || contextLength < 1) {
            throw new IllegalArgumentException("a model needs a name and a context length: " + name);
        }
    }

    public static ServedModel of(String name) {
        return new ServedModel(name, 4096, true);
    }
}
