package dev.penstock.node;

import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * A server that is ready to show a case.
 *
 * @param says what it is asked; a word, or more than it can take
 * @param expected the text that it will say; empty: it is not known
 * @param tries a model of random weights ends its answer by chance: how often it may be asked until it does
 * @param onFirstToken what happens to it then
 * @param idle whether it works at nothing
 */
record Stage(
        Upstream client,
        String model,
        String says,
        Optional<String> expected,
        int tries,
        Runnable onFirstToken,
        BooleanSupplier idle) {

    static Stage of(Upstream client, String model) {
        return new Stage(client, model, "Tell me about the river", Optional.empty(), 1, () -> {}, () -> true);
    }

    Stage saying(String words) {
        return new Stage(client, model, words, expected, tries, onFirstToken, idle);
    }

    Stage expecting(String text) {
        return new Stage(client, model, says, Optional.of(text), tries, onFirstToken, idle);
    }

    Stage trying(int times) {
        return new Stage(client, model, says, expected, times, onFirstToken, idle);
    }

    Stage onFirstToken(Runnable then) {
        return new Stage(client, model, says, expected, tries, then, idle);
    }

    Stage idleWhen(BooleanSupplier condition) {
        return new Stage(client, model, says, expected, tries, onFirstToken, condition);
    }
}
