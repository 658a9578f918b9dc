package dev.penstock.route.balance;

import dev.penstock.job.JobFailure;
import dev.penstock.settings.Placing;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Decides at which nodes a prompt and its answer fit. Token counts are estimates. So a node is left out only while another
 * node is up where the prompt fits better. Otherwise the node itself decides.
 *
 * @param pools the nodes of the job's route, without those that cannot serve the job
 */
public record Fit(Demand demand, List<List<At>> pools) {
    /**
     * A node and the model of the job there.
     *
     * @param context the tokens of the longest prompt and answer together; null if the node does not list it
     */
    public record At(String node, boolean isUp, @Nullable Long context, double charsPerToken) {
        private boolean fits(Length length) {
            return length.fits(context, charsPerToken);
        }

        private boolean mayFit(Length length) {
            return length.mayFit(context, charsPerToken);
        }
    }

    public Fit {
        pools = pools.stream().map(List::copyOf).toList();
    }

    /** Returns whether the prompt is too long for any of the nodes, by the estimate. */
    public boolean isTight() {
        return pools.stream().flatMap(List::stream).anyMatch(at -> !at.fits(demand.length()));
    }

    /** Returns the nodes that the job leaves out, each with the reason. */
    public Map<String, String> leftOut() {
        Map<String, String> leftOut = new TreeMap<>();
        switch (demand.overflow()) {
            case NEXT, FAIL -> leaveOut(pools.stream().flatMap(List::stream).toList(), leftOut);
            // the job stays in its pool, and its request becomes shorter
            case DROP_OLDEST -> pools.forEach(pool -> leaveOut(pool, leftOut));
        }
        return leftOut;
    }

    private void leaveOut(List<At> nodes, Map<String, String> leftOut) {
        Length length = demand.length();
        Predicate<At> fits = nodes.stream().anyMatch(at -> at.isUp() && at.fits(length))
                ? at -> at.fits(length)
                : at -> at.mayFit(length);
        if (nodes.stream().anyMatch(at -> at.isUp() && fits.test(at))) {
            nodes.stream()
                    .filter(fits.negate())
                    .forEach(at -> leftOut.put(
                            at.node(),
                            String.format(
                                    Locale.ROOT,
                                    "%s; the limit there is %,d",
                                    length.at(at.charsPerToken()),
                                    at.context())));
        }
    }

    /**
     * Returns the failure of a job whose rule says that it fails if its prompt is too long for its first target. Even half
     * of the estimated tokens do not fit there.
     */
    public Optional<JobFailure> failure() {
        if (demand.overflow() != Placing.Overflow.FAIL || pools.isEmpty()) {
            return Optional.empty();
        }
        List<At> first = pools.getFirst();
        if (first.isEmpty() || first.stream().anyMatch(at -> at.mayFit(demand.length()))) {
            return Optional.empty();
        }
        String limits = first.stream()
                .map(at -> String.format(Locale.ROOT, "%s %,d", at.node(), at.context()))
                .collect(Collectors.joining(", "));
        return Optional.of(JobFailure.of(
                JobFailure.Code.CONTEXT_LENGTH_EXCEEDED,
                "%s. The limits are: %s"
                        .formatted(demand.length().at(first.getFirst().charsPerToken()), limits)));
    }
}
