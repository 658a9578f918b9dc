package dev.penstock.api.jobs;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.api.call.ApiException;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.reply.ResumePoint;
import dev.penstock.reply.Watch;
import dev.penstock.wire.Json;
import jakarta.ws.rs.core.Response;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;

/**
 * Handles one call with many jobs. If the caller waits, the watch of each job begins before the job's record is
 * written. The time limit of the wait applies to the call, not to each line.
 */
final class LineDoor implements JobLines.Door, AutoCloseable {
    /**
     * The maximum number of lines that are looked up together. Their records are written before the next lines are
     * read.
     */
    private static final int MOST_AT_ONCE = 500;

    private static final int BYTES_AT_ONCE = 1 << 20;
    /** The memory for the answer to one line and for the state of its job. */
    private static final int LINE_BYTES = 2_048;
    /**
     * The buffer of the answer takes up to this multiple of the answer's size, because the buffer doubles when it is
     * full.
     */
    private static final int GROWS = 2;

    private final SubmissionProducer submissions;
    private final JobLookup jobs;
    private final @Nullable String traceparent;
    private final boolean waits;
    private final AnswerBudget.Share share;
    private long until;
    private final List<Watch> watches = new ArrayList<>();
    private final Written body = new Written();

    /**
     * @param wait how long to wait for the outcomes; zero if the caller does not wait
     * @param share the call's share of the memory for answers
     */
    LineDoor(
            SubmissionProducer submissions,
            JobLookup jobs,
            @Nullable String traceparent,
            Duration wait,
            AnswerBudget.Share share) {
        this.share = share;
        this.submissions = submissions;
        this.jobs = jobs;
        this.traceparent = traceparent;
        waits = !wait.isZero();
        until = System.nanoTime() + wait.toNanos();
    }

    /**
     * Reads and submits the lines, some at a time. The status is 200 if the caller waits and every line has its outcome
     * or an error; otherwise it is 202.
     *
     * @param most the maximum number of jobs
     * @param mostBytes the size limit of the answer; if the answer is longer, the call stops waiting for outcomes
     */
    Response.ResponseBuilder answer(LineReader in, int most, int mostBytes) throws InterruptedException, IOException {
        JobLines submitted = new JobLines(this);
        List<JobLines.Answer> outcomes = new ArrayList<>();
        ObjectNode last = null;
        long taken = 0;
        LineReader.Line line = in.next();
        while (line != null && taken < most) {
            List<LineReader.Line> some = new ArrayList<>();
            long bytes = 0;
            while (line != null && taken < most && some.size() < MOST_AT_ONCE && bytes < BYTES_AT_ONCE) {
                some.add(line);
                bytes += line.document().get().length;
                taken++;
                line = in.next();
            }
            if (!hasRoom(taken)) {
                last = noRoom(some.getFirst().number());
                break;
            }
            for (JobLines.Answer answer : submit(submitted, some)) {
                JobLines.Answer settled = answer.settled();
                if (waits) {
                    outcomes.add(settled);
                } else {
                    body.add(settled.await());
                }
            }
        }
        if (last == null && line != null) {
            last = JobLines.tooMany(line.number(), most);
        }
        in.drop();
        if (last == null && in.failure() != null) {
            if (taken == 0) {
                throw new ApiException(in.failure());
            }
            last = JobLines.failed(in.number(), in.failure());
        }
        for (JobLines.Answer outcome : outcomes) {
            if (body.bytes.size() > mostBytes) {
                until = System.nanoTime();
            }
            body.add(outcome.await());
        }
        if (last != null) {
            body.add(last);
        }
        return Response.status(waits && body.allEnded ? 200 : 202).entity(body.bytes.toByteArray());
    }

    private static ObjectNode noRoom(long line) {
        if (line == 1) {
            throw AnswerBudget.full();
        }
        return JobLines.failed(line, AnswerBudget.FULL);
    }

    private boolean hasRoom(long lines) throws InterruptedException {
        return share.take(lines * LINE_BYTES + (long) GROWS * body.bytes.size());
    }

    /** Reserves memory for one more outcome, in addition to the answer so far. Returns false if there is none. */
    private boolean hasRoomFor(long bytes) throws InterruptedException {
        return share.take((long) GROWS * body.bytes.size() + bytes);
    }

    private List<JobLines.Answer> submit(JobLines submitted, List<LineReader.Line> lines) throws InterruptedException {
        List<SubmissionProducer.Checked> checked = lines.stream()
                .map(line -> line.isTooLong()
                        ? submissions.tooLarge(line.size())
                        : submissions.check(line.document().get(), null))
                .toList();
        submitted.known(jobs.alreadyThere(checked.stream()
                .filter(SubmissionProducer.Checked.Fit.class::isInstance)
                .map(SubmissionProducer.Checked.Fit.class::cast)
                .toList()));
        List<JobLines.Answer> answers = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            answers.add(submitted.submit(lines.get(i).number(), checked.get(i)));
        }
        return answers;
    }

    /** The lines of the answer so far. */
    private static final class Written {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private boolean allEnded = true;

        void add(ObjectNode line) {
            allEnded &= (line.has("error") && !line.has("object")) || line.hasNonNull("finished_at");
            bytes.writeBytes(Json.bytes(line));
            bytes.write('\n');
        }
    }

    @Override
    public JobLines.Written write(SubmissionProducer.Checked.Fit fit) throws InterruptedException {
        if (!waits || submissions.away().isPresent()) {
            return new JobLines.Written(submissions.write(fit, traceparent), row -> row);
        }
        Watch watch = jobs.watchSubmitted(fit);
        watches.add(watch);
        watch.passOverChunks();
        watch.expectOwnRecord();
        CompletableFuture<RecordMetadata> written = submissions.write(fit, traceparent);
        return new JobLines.Written(
                written.thenApply(record -> {
                    watch.ownRecord(new RecordPlace(record.topic(), record.partition(), record.offset()));
                    return record;
                }),
                row -> JobLookup.accepted(JobLookup.await(watch, row, left(), this::hasRoomFor)));
    }

    @Override
    public JobFailure refused(Throwable failure, SubmissionProducer.Checked.Fit fit) {
        return submissions.refused(failure, fit);
    }

    @Override
    public ObjectNode show(JobRow row) {
        return jobs.shortly(row);
    }

    @Override
    public JobRow known(JobRow row) throws InterruptedException {
        if (!waits) {
            return row;
        }
        JobRow now = jobs.find(row.id());
        if (JobLookup.accepted(now).isOver()) {
            return jobs.withAnswer(now, share);
        }
        try (Watch watch = jobs.watch(row.id(), ResumePoint.START, true)) {
            return JobLookup.accepted(JobLookup.await(watch, now, left(), this::hasRoomFor));
        }
    }

    private Duration left() {
        return Duration.ofNanos(Math.max(0, until - System.nanoTime()));
    }

    @Override
    public void close() {
        watches.forEach(Watch::close);
    }
}
