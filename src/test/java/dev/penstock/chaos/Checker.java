package dev.penstock.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.wire.record.EventHeaders;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * Checks every job that the broker accepted: one outcome of an allowed kind; chunks that add up to the text; events
 * in order, and none after the end; the same state in the ledger; and dead letters only for records that are no jobs.
 */
final class Checker {
    private static final String OPEN = "open";

    private final Installation installation;
    private final Map<String, Load.Kind> accepted;
    private final ReplyLog replies;
    private final List<String> violations = new ArrayList<>();
    private final Map<String, Integer> outcomes = new TreeMap<>();
    private final Map<Integer, Integer> starts = new TreeMap<>();
    private long readableUntil;
    private int voided;

    Checker(Installation installation, Load load, ReplyLog replies) {
        this.installation = installation;
        accepted = load.accepted();
        this.replies = replies;
    }

    List<String> check(Duration patience) throws InterruptedException {
        List<String> jobs = accepted.entrySet().stream()
                .filter(job -> job.getValue() != Load.Kind.MALFORMED)
                .map(Map.Entry::getKey)
                .toList();
        try {
            replies.awaitOutcomes(jobs, patience);
        } catch (AssertionError e) {
            violations.add(String.valueOf(e.getMessage()));
        }
        jobs.forEach(this::outcome);
        jobs.forEach(this::order);
        readableUntil = System.nanoTime() + patience.toNanos();
        for (String id : jobs) {
            ledger(id);
        }
        deadLetters();
        return violations;
    }

    private void outcome(String id) {
        List<ReplyLog.Event> ends = replies.valid(id).stream()
                .filter(event -> event.mark().kind().isOutcome())
                .toList();
        EventMark.Kind end = ends.isEmpty() ? null : ends.getLast().mark().kind();
        outcomes.merge(end == null ? OPEN : end.wireName(), 1, Integer::sum);
        starts.merge((int) replies.count(id, EventMark.Kind.STARTED), 1, Integer::sum);
        voided += replies.all(id).size() - replies.valid(id).size();
        if (ends.size() != 1) {
            violations.add("%s has %d valid outcomes".formatted(id, ends.size()));
            return;
        }
        boolean fits = switch (accepted.getOrDefault(id, Load.Kind.PLAIN)) {
            case PLAIN, TWICE -> end == EventMark.Kind.COMPLETED;
            case CANCELLED -> end == EventMark.Kind.COMPLETED || end == EventMark.Kind.CANCELLED;
            case HURRIED -> end == EventMark.Kind.COMPLETED || end == EventMark.Kind.EXPIRED;
            case MALFORMED -> false;
        };
        if (!fits) {
            violations.add("%s, %s, ended so: %s"
                    .formatted(id, accepted.get(id), ends.getFirst().value()));
        } else if (end == EventMark.Kind.COMPLETED && replies.count(id, EventMark.Kind.CHUNK) > 0) {
            String chunks = replies.chunkText(id);
            String whole = replies.completedText(id);
            if (!chunks.equals(whole)) {
                violations.add("%s: its chunks say '%s', its outcome '%s'".formatted(id, chunks, whole));
            }
        }
    }

    /** Attempts only rise, and seq counts from 0 without gaps within each valid attempt. */
    private void order(String id) {
        int attempt = -1;
        long next = 0;
        boolean over = false;
        for (ReplyLog.Event event : replies.valid(id)) {
            EventMark mark = event.mark();
            if (over) {
                violations.add("%s has a valid event after its end: %s".formatted(id, mark));
            }
            if (mark.attempt() != attempt) {
                if (mark.attempt() < attempt) {
                    violations.add("%s goes back from attempt %d to %d".formatted(id, attempt, mark.attempt()));
                }
                attempt = mark.attempt();
                next = 0;
            }
            if (mark.seq() != next) {
                violations.add("%s: %s comes where seq %d should".formatted(id, mark, next));
            }
            next = mark.seq() + 1;
            over = mark.kind().isOutcome();
        }
    }

    private void ledger(String id) throws InterruptedException {
        URI replica = installation.replica(new Random(id.hashCode())).url();
        Rest.Reply answer = Rest.get(replica, "/v1/jobs/" + id);
        // the last fault may have been the database's
        while (answer.status() == 503 && System.nanoTime() - readableUntil < 0) {
            TimeUnit.MILLISECONDS.sleep(100);
            answer = Rest.get(replica, "/v1/jobs/" + id);
        }
        EventMark.Kind end = replies.reading(id).outcome();
        String expected = end == null ? OPEN : end.wireName();
        JsonNode job = answer.json();
        if (!job.path("status").asText().equals(expected)) {
            violations.add("%s: the topic says %s, the ledger (%d) %s".formatted(id, expected, answer.status(), job));
        } else if (end == EventMark.Kind.COMPLETED
                && !job.path("response")
                        .path("choices")
                        .path(0)
                        .path("message")
                        .path("content")
                        .asText()
                        .equals(replies.completedText(id))) {
            violations.add("%s: the ledger has another text than the topic".formatted(id));
        }
    }

    private void deadLetters() {
        Map<String, Integer> reasons = new HashMap<>();
        Set<String> refused = new HashSet<>();
        Records.all(installation.bootstrap(), "prompt-jobs-dlq").forEach(record -> {
            String id = String.valueOf(EventHeaders.text(record.headers(), "dlq-job-id"));
            String reason = String.valueOf(EventHeaders.text(record.headers(), "dlq-reason"));
            reasons.merge(reason, 1, Integer::sum);
            refused.add(id);
            if (accepted.get(id) != Load.Kind.MALFORMED) {
                violations.add("%s, %s, is a dead letter: %s".formatted(id, accepted.get(id), reason));
            }
        });
        accepted.forEach((id, kind) -> {
            if (kind == Load.Kind.MALFORMED && !refused.contains(id)) {
                violations.add(id + " is no job, and no dead letter");
            }
        });
        outcomes.put("dead letters", refused.size());
    }

    @Override
    public String toString() {
        return "outcomes: %s%njobs by how often they started: %s; events that the reading rule made void: %,d"
                .formatted(outcomes, starts, voided);
    }
}
