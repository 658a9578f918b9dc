package dev.penstock.route.balance;

import dev.penstock.route.Router;
import java.util.ArrayList;
import java.util.List;

/**
 * A node of a pool that is up, with the figures that a balance compares.
 *
 * @param mayTake whether the job may start here now; the other nodes only count in means
 * @param isTrial whether the next request finds out whether the node works again, because its breaker is not closed
 * @param mustLoad whether the node must load the job's model first
 * @param inFlight the number of this replica's requests at the node
 * @param limit the number of requests that this replica may have at the node
 * @param weight the node's weight; positive
 */
public record Option(
        Router.Candidate candidate,
        boolean mayTake,
        boolean isTrial,
        boolean mustLoad,
        int inFlight,
        int limit,
        int weight,
        Reading reading) {

    /**
     * The prompts that the node must read.
     *
     * @param waitingTokens an estimate of the tokens of the prompts before this job's
     * @param promptTokens an estimate of the tokens of the job's prompt
     * @param tokensPerSecond the prompt tokens that the node reads in a second; NaN if it is not known yet
     * @param isNearlyFull whether the node's cache for prompts is nearly full
     */
    public record Reading(double waitingTokens, double promptTokens, double tokensPerSecond, boolean isNearlyFull) {
        private boolean isMeasured() {
            return !Double.isNaN(tokensPerSecond);
        }

        /**
         * Returns the time until the node has read the prompts before this job's, in seconds.
         *
         * @param usualRate the rate if the node's own is not known yet
         */
        double secondsBefore(double usualRate) {
            return waitingTokens == 0 ? 0 : waitingTokens / (isMeasured() ? tokensPerSecond : usualRate);
        }

        /** Returns the time to the first token of the job, in seconds. */
        double secondsToFirstToken(double usualRate) {
            return (waitingTokens + promptTokens) / (isMeasured() ? tokensPerSecond : usualRate);
        }
    }

    String node() {
        return candidate.node();
    }

    /** Returns the part of the node's slots that is in use. */
    double share() {
        return (double) inFlight / limit;
    }

    double inFlightPerWeight() {
        return (double) inFlight / weight;
    }

    /**
     * Returns the nodes between which a balance chooses. A node whose breaker lets one job through is alone, because that
     * job finds out whether the node works again. A node that has the model in memory comes before one that must load it.
     * A node whose cache for prompts is nearly full comes last.
     */
    static List<Option> preferred(List<Option> pool) {
        List<Option> preferred = new ArrayList<>(pool.size());
        int best = Integer.MAX_VALUE;
        for (Option option : pool) {
            if (!option.mayTake) {
                continue;
            }
            if (option.isTrial) {
                return List.of(option);
            }
            int rank = (option.mustLoad ? 1 : 0) + (option.reading.isNearlyFull() ? 2 : 0);
            if (rank < best) {
                best = rank;
                preferred.clear();
            }
            if (rank == best) {
                preferred.add(option);
            }
        }
        return preferred;
    }

    /** Returns the mean of the known rates. An unknown node is assumed to have it. NaN if no rate is known. */
    static double usualRate(List<Option> options) {
        double sum = 0;
        int known = 0;
        for (Option option : options) {
            if (option.reading.isMeasured()) {
                sum += option.reading.tokensPerSecond;
                known++;
            }
        }
        return known == 0 ? Double.NaN : sum / known;
    }
}
