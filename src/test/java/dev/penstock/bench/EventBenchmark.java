package dev.penstock.bench;

import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.document.EventDocument;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** What it costs to write each event of a job with eight deltas in one chunk. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class EventBenchmark {
    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-job-1", 1, "llama", Task.CHAT);

    private final JobId id = new JobId("job-1");
    private final JobEvent started = new JobEvent.Started(
            "gpu-a", "vllm", "llama", Instant.EPOCH, new RecordPlace("prompt-jobs", 0, 1), Map.of(), null);
    private final JobEvent chunk = new JobEvent.Chunk(HEAD, deltas());
    private final JobEvent completed = new JobEvent.Completed(
            answer(),
            false,
            new JobEvent.Execution("gpu-a", "vllm", "llama", 1, 2L, 3, 1, List.of(), List.of(), null, 0),
            Map.of());

    private static List<TokenEvent> deltas() {
        List<TokenEvent> deltas = new ArrayList<>(List.of(new TokenEvent.Role(0)));
        for (int i = 0; i < 8; i++) {
            deltas.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, " word" + i));
        }
        return deltas;
    }

    private static Answer answer() {
        Answer.Builder answer = new Answer.Builder();
        deltas().forEach(answer::add);
        return answer.build(HEAD);
    }

    @Benchmark
    public byte[] started() {
        return write(started, 0);
    }

    @Benchmark
    public byte[] chunk() {
        return write(chunk, 1);
    }

    @Benchmark
    public byte[] completed() {
        return write(completed, 2);
    }

    private byte[] write(JobEvent event, long seq) {
        return EventDocument.write(id, new EventMark(event.kind(), 1, "run1", seq), event);
    }
}
