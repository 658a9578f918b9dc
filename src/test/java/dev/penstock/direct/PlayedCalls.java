package dev.penstock.direct;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.util.Map;

/** Direct calls at one node, for the tests of other packages. */
public final class PlayedCalls {
    private final DirectRig rig = new DirectRig(TestSettings.node("a", "vllm", 1));
    private final FakeNodes.Server server;

    public PlayedCalls() {
        server = rig.nodes.server("a").up("llama");
    }

    /** Starts a streamed call. */
    public DirectCall start() {
        return rig.start(rig.job(true, Map.of()));
    }

    /** Sets the answer to each call from now on. */
    public void answers(String text) {
        server.onCall(call -> call.answer(text));
    }

    public void answersNothing() {
        server.onCall(call -> call.say(new TokenEvent.Finish(0, "stop")).say(new TokenEvent.End()));
    }

    /** Sets the beginning of the answer to each call, which then fails for good. */
    public void breaks(String text) {
        server.onCall(call -> call.say(DirectRig.text(text))
                .fail(JobFailure.of(JobFailure.Code.TOO_LARGE, "no").atNode("a")));
    }

    /** Gives the first call a part of its answer. */
    public void says(String text) {
        rig.call("a", 1).say(DirectRig.text(text));
    }

    /** Returns when the request of the first call has ended. */
    public void awaitClosed() {
        Conditions.await(() -> !rig.call("a", 1).isOpen(), () -> "the request goes on");
    }
}
