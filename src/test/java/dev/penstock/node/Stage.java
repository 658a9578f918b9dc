package dev.penstock.node;

import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * A server that is ready to show a case.
 *
 * @param says the prompt: a word, or a text that is longer than the context
 * @param expected the text of the answer; empty if it is unknown
 * @param tries the number of requests until it must show the case: a model of random weights ends its answer by
 *     chance, and a program of llama.cpp may end before all output is printed
 * @param onFirstToken what happens to the server at its first token
 * @param idle whether the server has no work
 * @param timeouts the limits of its silence
 */
record Stage(
        Upstream client,
        String model,
        String says,
        Optional<String> expected,
        int tries,
        Runnable onFirstToken,
        BooleanSupplier idle,
        Settings.Timeouts timeouts) {
    private static final Settings.Timeouts PATIENT = new Settings.Timeouts(
            Duration.ofSeconds(2), Duration.ofMinutes(2), Duration.ofMinutes(2), Duration.ofMinutes(2));

    static Stage of(Upstream client, String model) {
        return new Stage(client, model, "Tell me about the river", Optional.empty(), 1, () -> {}, () -> true, PATIENT);
    }

    Stage saying(String words) {
        return new Stage(client, model, words, expected, tries, onFirstToken, idle, timeouts);
    }

    Stage expecting(String text) {
        return new Stage(client, model, says, Optional.of(text), tries, onFirstToken, idle, timeouts);
    }

    Stage trying(int times) {
        return new Stage(client, model, says, expected, times, onFirstToken, idle, timeouts);
    }

    Stage onFirstToken(Runnable then) {
        return new Stage(client, model, says, expected, tries, then, idle, timeouts);
    }

    Stage idleWhen(BooleanSupplier condition) {
        return new Stage(client, model, says, expected, tries, onFirstToken, condition, timeouts);
    }

    Stage within(Duration firstToken, Duration idleFor) {
        Settings.Timeouts shorter = new Settings.Timeouts(timeouts.connect(), firstToken, idleFor, timeouts.queue());
        return new Stage(client, model, says, expected, tries, onFirstToken, idle, shorter);
    }
}
