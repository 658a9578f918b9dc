package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Gate;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.cli.view.InterruptNote;
import dev.penstock.cli.view.JsonPrinter;
import dev.penstock.cli.view.Terminal;
import dev.penstock.cli.view.TextPrinter;
import dev.penstock.cli.view.WaitNotes;
import dev.penstock.job.JobId;
import java.util.Locale;

/** Shows one job on the terminal: its events as they arrive, then a summary of its outcome. */
final class Following {
    private Following() {}

    /** Follows a job to its outcome, and passes its events to a listener. */
    interface Job {
        ValidEvent follow(EventListener listener) throws Problem, InterruptedException;
    }

    static Ending show(Terminal terminal, Gate gate, JobId id, boolean json, Job job)
            throws Problem, InterruptedException {
        EventListener printer = json ? new JsonPrinter(terminal) : new TextPrinter(terminal);
        try (WaitNotes notes = WaitNotes.start(printer, () -> gate.waitsFor(id), WaitNotes.PERIOD);
                var _ = new InterruptNote(
                        terminal,
                        "interrupted; the job goes on: penstock watch %s, or penstock cancel %s".formatted(id, id))) {
            ValidEvent outcome = job.follow(notes);
            terminal.note(summary(id, outcome));
            ValidEvent.violations(outcome.document().path("error")).forEach(terminal::note);
            return Ending.of(outcome.mark().kind());
        }
    }

    private static String summary(JobId id, ValidEvent outcome) {
        JsonNode document = outcome.document();
        JsonNode execution = document.path("job");
        StringBuilder summary = new StringBuilder(
                "job %s %s".formatted(id, outcome.mark().kind().wireName()));
        if (execution.hasNonNull("node")) {
            summary.append(" at ").append(execution.path("node").asText());
        }
        if (execution.path("total_ms").isNumber()) {
            summary.append(String.format(
                    Locale.ROOT, " in %.1f s", execution.path("total_ms").asLong() / 1000.0));
        }
        int tokens = document.path("usage").path("completion_tokens").asInt();
        if (tokens > 0) {
            summary.append(", ").append(tokens).append(tokens == 1 ? " token" : " tokens");
        }
        return document.has("error")
                ? summary.append(": ").append(outcome.failure()).toString()
                : summary.toString();
    }
}
