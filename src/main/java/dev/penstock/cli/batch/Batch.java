package dev.penstock.cli.batch;

import dev.penstock.cli.job.Draft;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Gate;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.cli.view.Progress;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Submits the jobs of a file that have no result yet. The number of jobs in flight is limited, and each job has its own
 * virtual thread.
 */
public final class Batch {
    private final Gate gate;
    private final JobLines lines;
    private final ResultsFile results;
    private final int parallel;
    private final Progress progress;
    private final Semaphore open;
    private final AtomicReference<@Nullable Problem> stopped = new AtomicReference<>();
    /** Maps each job id to the number of the first line with this id. */
    private final Map<JobId, Long> ids = new HashMap<>();

    public Batch(Gate gate, JobLines lines, ResultsFile results, int parallel, Progress progress) {
        this.gate = gate;
        this.lines = lines;
        this.results = results;
        this.parallel = parallel;
        this.progress = progress;
        open = new Semaphore(parallel);
    }

    /** Submits the jobs until all are done, or until a problem concerns all jobs. */
    public Ending run() throws Problem, InterruptedException {
        progress.before(results.doneBefore(), results.failedBefore());
        ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();
        try {
            lines.forEach(line -> take(line, workers));
            while (!open.tryAcquire(parallel, 1, TimeUnit.SECONDS)) {
                if (stopped.get() != null) {
                    break;
                }
            }
        } finally {
            workers.shutdownNow();
        }
        Problem problem = stopped.get();
        if (problem != null) {
            throw problem;
        }
        return progress.tally().failed() == 0 ? Ending.COMPLETED : Ending.FAILED;
    }

    private boolean take(JobLine line, ExecutorService workers) throws Problem, InterruptedException {
        if (stopped.get() != null) {
            return false;
        }
        switch (line) {
            case JobLine.Malformed(long number, JobFailure failure) -> {
                if (!results.holds(line)) {
                    malformed(number, failure);
                }
            }
            case JobLine.Job job -> {
                long number = job.number();
                Draft draft = job.draft();
                Long first = ids.putIfAbsent(draft.id(), number);
                if (results.holds(line)) {
                    return true;
                }
                if (first != null) {
                    malformed(
                            number,
                            JobFailure.invalid("job.id", "'%s' stands in line %d too".formatted(draft.id(), first)));
                    return true;
                }
                open.acquire();
                workers.execute(() -> run(number, results.next(job)));
            }
        }
        return true;
    }

    private void malformed(long number, JobFailure failure) throws Problem {
        results.malformed(number, failure);
        progress.one(false);
    }

    private void run(long number, Draft draft) {
        try {
            ValidEvent outcome = gate.submit(draft, new Quiet());
            results.outcome(number, outcome);
            progress.one(outcome.mark().kind() == EventMark.Kind.COMPLETED);
        } catch (Problem e) {
            refuse(number, draft, e);
        } catch (InterruptedException _) {
            // the run was stopped: the line has no result, so the next run submits it again
        } catch (RuntimeException e) {
            stopped.compareAndSet(null, Problem.brokenOff("this is a mistake in penstock, please report it: " + e));
        } finally {
            open.release();
        }
    }

    private void refuse(long number, Draft draft, Problem problem) {
        if (problem.ending() != Ending.REFUSED || concernsAll(problem)) {
            stopped.compareAndSet(null, problem);
            return;
        }
        try {
            results.refused(number, draft.id(), problem.error());
            progress.one(false);
        } catch (Problem e) {
            stopped.compareAndSet(null, e);
        }
    }

    /** Returns whether the next job would be refused for the same reason as this one. */
    private static boolean concernsAll(Problem problem) {
        String code = problem.error().path("code").asText();
        return code.equals(JobFailure.Code.UNAUTHORIZED.wireName())
                || code.equals(JobFailure.Code.FORBIDDEN.wireName())
                || !problem.cameFromService();
    }

    /** Ignores the events of single jobs, and shows only notes about the connection. */
    private final class Quiet implements EventListener {
        @Override
        public void on(ValidEvent event) {}

        @Override
        public void note(String line) {
            progress.note(line);
        }
    }
}
