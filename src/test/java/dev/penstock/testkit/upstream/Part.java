package dev.penstock.testkit.upstream;

import java.util.Optional;
import java.util.function.Function;

/** The server's behaviour from now on. */
record Part(
        Listings listings,
        Function<UpstreamRequest, Answer> script,
        Function<UpstreamRequest, Optional<Answer>> probes,
        Function<UpstreamRequest, Answer> pulls) {

    Part with(Listings other) {
        return new Part(other, script, probes, pulls);
    }

    Part withScript(Function<UpstreamRequest, Answer> other) {
        return new Part(listings, other, probes, pulls);
    }

    Part withProbes(Function<UpstreamRequest, Optional<Answer>> other) {
        return new Part(listings, script, other, pulls);
    }

    Part withPulls(Function<UpstreamRequest, Answer> other) {
        return new Part(listings, script, probes, other);
    }
}
