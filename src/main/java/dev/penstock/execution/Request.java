package dev.penstock.execution;

import dev.penstock.execution.result.Repairs;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.node.Node;
import dev.penstock.settings.Rule;
import java.util.Optional;

/**
 * What the next attempt of a job asks for: the job's own request or, after an answer that does not fit, the request for a
 * better one. A chat may lack its oldest turns. Not thread-safe: the thread of the run owns it.
 */
final class Request {
    private final Rule rule;
    private final long mostTokens;
    private final Repairs repairs;
    private PromptJob job;
    private OldTurns turns;

    /**
     * @param mostTokens the largest number of tokens of the answer; 0 if it is not limited
     * @param attempts the attempts of the job's earlier runs that no node failed
     */
    Request(PromptJob job, Rule rule, long mostTokens, int attempts) {
        this.job = job;
        this.rule = rule;
        this.mostTokens = mostTokens;
        repairs = new Repairs(job, attempts);
        turns = new OldTurns(job, rule, mostTokens);
    }

    /** Returns the request with all turns of the chat. */
    PromptJob whole() {
        return job;
    }

    /** Returns the request as its node may take it. */
    PromptJob fitted(Node.Slot slot, String model) {
        return turns.fitted(slot, model);
    }

    /** Returns whether the prompt may become shorter. */
    boolean mayDrop() {
        return turns.mayDrop();
    }

    /** Takes a node's refusal as too long. Returns whether the next request has fewer turns. */
    boolean dropMore() {
        return turns.dropMore();
    }

    /** Returns how many turns the latest request did not have. */
    int dropped() {
        return turns.dropped();
    }

    /** Takes an answer that does not fit. Returns whether the next request asks for a better one. */
    boolean repair(JobFailure failure) {
        Optional<PromptJob> better = repairs.after(failure);
        if (better.isPresent()) {
            job = better.get();
            turns = new OldTurns(job, rule, mostTokens);
        }
        return better.isPresent();
    }
}
