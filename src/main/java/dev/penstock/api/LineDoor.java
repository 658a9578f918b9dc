package dev.penstock.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.intake.Submissions;
import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.ledger.JobRow;
import dev.penstock.reply.ResumePoint;
import dev.penstock.reply.Watch;
import dev.penstock.wire.Json;
import jakarta.ws.rs.core.Response;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;

/**
 * One call with many jobs. Where the caller would wait, each job is watched from before its record is written; the time is
 * that of the call, not of each line.
 */
final class LineDoor implements JobLines.Door, AutoCloseable {
    private final Submissions submissions;
    private final JobLookup jobs;
    private final @Nullable String traceparent;
    private final boolean waits;
    private final long until;
    private final List<Watch> watches = new ArrayList<>();

    /** @param wait for the outcomes; zero: for none */
    LineDoor(Submissions submissions, JobLookup jobs, @Nullable String traceparent, Duration wait) {
        this.submissions = submissions;
        this.jobs = jobs;
        this.traceparent = traceparent;
        waits = !wait.isZero();
        until = System.nanoTime() + wait.toNanos();
    }

    /** 200 where every outcome was waited for and came, else 202. */
    Response.ResponseBuilder answer(List<JobLines.Line> lines) throws InterruptedException {
        List<Submissions.Checked> checked = lines.stream()
                .map(line -> submissions.check(line.document().get(), null))
                .toList();
        JobLines submitted = new JobLines(
                jobs.alreadyThere(checked.stream()
                        .filter(Submissions.Checked.Fit.class::isInstance)
                        .map(Submissions.Checked.Fit.class::cast)
                        .toList()),
                this);
        List<JobLines.Answer> answers = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            answers.add(submitted.submit(lines.get(i).number(), checked.get(i)));
        }
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        boolean all = waits;
        for (JobLines.Answer answer : answers) {
            ObjectNode line = answer.await();
            all &= (line.has("error") && !line.has("object")) || line.hasNonNull("finished_at");
            body.writeBytes(Json.bytes(line));
            body.write('\n');
        }
        return Response.status(all ? 200 : 202).entity(body.toByteArray());
    }

    @Override
    public JobLines.Written write(Submissions.Checked.Fit fit) throws InterruptedException {
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
                row -> JobLookup.accepted(JobLookup.await(watch, row, left())));
    }

    @Override
    public JobFailure refused(Throwable failure, Submissions.Checked.Fit fit) {
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
            return now;
        }
        try (Watch watch = jobs.watch(row.id(), ResumePoint.START, true)) {
            return JobLookup.accepted(JobLookup.await(watch, now, left()));
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
