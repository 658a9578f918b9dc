package dev.penstock.node.signals;

import java.util.Optional;
import java.util.Set;

/**
 * A server's own view of its load, from one document.
 *
 * @param running the requests that it works on, of all its clients
 * @param waiting the requests that wait for their turn there, of all its clients
 * @param cacheUse the used part of the cache for prompts, 0 to 1; 0 if the server does not report it
 * @param loaded the names of the models in memory; empty if the document does not list them
 */
public record Signals(int running, int waiting, double cacheUse, Optional<Set<String>> loaded) {
    public Signals {
        if (running < 0 || waiting < 0 || !(cacheUse >= 0)) {
            throw new IllegalArgumentException("a figure is negative");
        }
        loaded = loaded.map(Set::copyOf);
    }

    /** Returns a view without a list of models. */
    static Signals of(int running, int waiting, double cacheUse) {
        return new Signals(running, waiting, cacheUse, Optional.empty());
    }
}
