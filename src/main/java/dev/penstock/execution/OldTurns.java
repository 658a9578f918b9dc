package dev.penstock.execution;

import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.job.Task;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Drops the oldest turns of a chat that is too long for its node, if the job's rule says so. A turn is a message of the
 * user, with the answers and tool results that follow it. The last turn stays, and so do the messages of the system. Not
 * thread-safe: the thread of the run owns it.
 */
final class OldTurns {
    /** If the answer has no limit, this part of the context remains for it. */
    private static final int PART_FOR_ANSWER = 8;
    /** After a refusal, each text counts with more tokens, by this factor. */
    private static final double MORE = 1.5;

    /** After a refusal, at least this part of the turns is dropped, so that few requests are enough. */
    private static final int PART_AT_ONCE = 3;

    private final PromptJob job;
    private final long answer;
    private final List<?> messages;
    private final List<Turn> turns;
    private double caution = 1;
    private int dropped;
    private int atLeast;

    /**
     * A turn of the chat.
     *
     * @param from the index of its first message
     */
    private record Turn(int from, PromptSize size) {}

    /** @param answer the largest number of tokens of the answer; 0 if it is not limited */
    OldTurns(PromptJob job, Rule rule, long answer) {
        this.job = job;
        this.answer = answer;
        messages = rule.placing().overflow() == Placing.Overflow.DROP_OLDEST
                        && job.task() == Task.CHAT
                        && job.body().get("messages") instanceof List<?> given
                ? given
                : List.of();
        turns = turns(messages);
    }

    /** Returns whether the prompt may become shorter. */
    boolean mayDrop() {
        return turns.size() > 1;
    }

    private static List<Turn> turns(List<?> messages) {
        List<Turn> turns = new ArrayList<>();
        for (int i = 0; i < messages.size(); i++) {
            if (PromptJob.isOfSystem(messages.get(i))) {
                continue;
            }
            PromptSize size = PromptSize.ofPart(messages.get(i));
            if (turns.isEmpty() || isOfUser(messages.get(i))) {
                turns.add(new Turn(i, size));
            } else {
                Turn last = turns.removeLast();
                turns.add(new Turn(last.from(), last.size().plus(size)));
            }
        }
        return turns;
    }

    private static boolean isOfUser(Object message) {
        return message instanceof Map<?, ?> fields && "user".equals(fields.get("role"));
    }

    /** Returns how many turns the latest request did not have. */
    int dropped() {
        return dropped;
    }

    /**
     * Takes a node's refusal of the latest request as too long.
     *
     * @return whether the next request has fewer turns
     */
    boolean dropMore() {
        caution *= MORE;
        atLeast = dropped + Math.max(1, (turns.size() - dropped) / PART_AT_ONCE);
        return atLeast < turns.size();
    }

    /**
     * Returns the job with as many turns as its node may take. If turns are missing, the attempt's slot learns the size of
     * the rest.
     */
    PromptJob fitted(Node.Slot slot, String model) {
        if (turns.isEmpty()) {
            return job;
        }
        dropped = toDrop(
                slot.node().health().context(model), slot.node().requests().load());
        if (dropped == 0) {
            return job;
        }
        int kept = turns.get(dropped).from();
        List<Object> rest = new ArrayList<>();
        for (int i = 0; i < messages.size(); i++) {
            Object message = messages.get(i);
            if (i >= kept || PromptJob.isOfSystem(message)) {
                rest.add(message);
            }
        }
        Map<String, Object> body = new HashMap<>(job.body());
        body.put("messages", rest);
        slot.shortened(PromptSize.of(body).chars());
        return job.with(body);
    }

    private int toDrop(@Nullable Long context, NodeLoad load) {
        int drop = Math.min(atLeast, turns.size() - 1);
        PromptSize left = job.promptSize();
        for (int i = 0; i < drop; i++) {
            left = left.minus(turns.get(i).size());
        }
        if (context == null) {
            return drop;
        }
        long room = context - (answer > 0 ? answer : context / PART_FOR_ANSWER);
        while (drop < turns.size() - 1 && left.tokens(load.charsPerToken() / caution) > room) {
            left = left.minus(turns.get(drop++).size());
        }
        return drop;
    }
}
