package dev.penstock.testkit.upstream;

import java.util.Optional;
import java.util.function.Function;

/** What the server is to play from now on. */
record Part(
        Listings listings,
        Function<UpstreamRequest, Answer> script,
        Function<UpstreamRequest, Optional<Answer>> probes) {

    Part with(Listings other) {
        return new Part(other, script, probes);
    }

    Part withScript(Function<UpstreamRequest, Answer> other) {
        return new Part(listings, other, probes);
    }

    Part withProbes(Function<UpstreamRequest, Optional<Answer>> other) {
        return new Part(listings, script, other);
    }
}
