package dev.penstock.node.program;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.http.Parsing;
import dev.penstock.node.protocol.answer.ServerErrors;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.wire.Reason;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The answer of a program that runs for one request. A platform thread reads the program's output, because reading from
 * a pipe would block the carrier of a virtual thread. The thread of the run reads the events. Closing the stream kills
 * the program and its children. It returns only after they have ended, because the next program needs their memory.
 */
final class ProgramStream implements TokenStream {
    private static final int BUFFER = 8192;
    private static final int AHEAD = 1024;
    private static final Duration DYING = Duration.ofSeconds(5);

    private final String title;
    private final ProgramCall call;
    private final LinkedBlockingQueue<Signal> signals = new LinkedBlockingQueue<>();
    private final Semaphore room = new Semaphore(AHEAD);
    private final Thread reader;

    /* Guarded by this. */
    private @Nullable KeptProgram program;
    private boolean closed;

    /* Owned by the reader. */
    private boolean over;

    private sealed interface Signal {
        record Event(TokenEvent event) implements Signal {}

        record Wake() implements Signal {}
    }

    private ProgramStream(String title, Path file, ProgramCall call) {
        this.title = title;
        this.call = call;
        reader = Thread.ofPlatform().daemon().name("penstock-" + call.program()).unstarted(() -> run(file));
    }

    static ProgramStream start(String title, Path file, ProgramCall call) {
        ProgramStream stream = new ProgramStream(title, file, call);
        stream.reader.start();
        return stream;
    }

    /** Returns a stream that failed before a program could start. */
    static ProgramStream failed(ProgramCall call, JobFailure failure) {
        ProgramStream stream = new ProgramStream("", Path.of(""), call);
        stream.finish(new TokenEvent.Broken(failure));
        return stream;
    }

    @Override
    public List<String> ignoredParameters() {
        return call.ignored();
    }

    @Override
    public @Nullable TokenEvent next(long nanos, int chars) throws InterruptedException {
        Signal signal = signals.poll(nanos, TimeUnit.NANOSECONDS);
        if (signal instanceof Signal.Event(TokenEvent event)) {
            room.release();
            return event;
        }
        return null;
    }

    @Override
    public void wake() {
        signals.add(new Signal.Wake());
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            kill();
        }
        room.release(AHEAD);
        try {
            if (reader.isAlive()) {
                reader.join(DYING);
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private void kill() {
        if (program != null) {
            program.kill();
        }
    }

    private void run(Path file) {
        try (PrivateFiles files = PrivateFiles.write(call.files())) {
            KeptProgram kept = start(file, files.folder());
            Process started = kept.process();
            LastLines lastLines = new LastLines();
            Thread listener = Thread.ofPlatform().daemon().start(() -> listen(started, lastLines));
            read(started.getInputStream());
            int status = call.output().isAnswered() ? stop(kept) : started.waitFor();
            listener.join(DYING);
            guarded(() -> {
                if (!over) {
                    call.output().end(status, lastLines, this::offer);
                }
            });
            if (!over) {
                finish(broken(
                        JobFailure.Code.STREAM_BROKEN, "ended before its answer was whole: " + lastLines.inShort()));
            }
        } catch (IOException e) {
            finish(broken(JobFailure.Code.NODE_UNREACHABLE, "could not be run: " + Reason.of(e)));
        } catch (InterruptedException _) {
            finish(broken(JobFailure.Code.STREAM_BROKEN, "was interrupted"));
        } catch (RuntimeException | StackOverflowError e) {
            // reported here, because no other thread would report an unexpected failure of this thread
            finish(broken(JobFailure.Code.NODE_ERROR, "failed unexpectedly: " + Reason.of(e)));
        } finally {
            synchronized (this) {
                kill();
            }
        }
    }

    private void guarded(Parsing.Step step) {
        Parsing.guarded(
                call.output().getClass().getSimpleName(),
                step,
                failure -> finish(broken(failure.code(), failure.message())));
    }

    private KeptProgram start(Path file, Path folder) throws IOException {
        List<String> command = new ArrayList<>(List.of(file.toString()));
        command.addAll(call.arguments());
        synchronized (this) {
            if (closed) {
                throw new IOException("no job waits for it any more");
            }
            ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
            KeptProgram started = KeptProgram.start(
                    builder, KeptProgram.Ending.INTERRUPTED, call.output().hidesInterrupt());
            program = started;
            return started;
        }
    }

    private void read(InputStream printed) {
        byte[] buffer = new byte[BUFFER];
        try {
            for (int read = printed.read(buffer); read >= 0; read = printed.read(buffer)) {
                byte[] piece = Arrays.copyOf(buffer, read);
                guarded(() -> call.output().piece(piece, this::offer));
                if (over || call.output().isAnswered()) {
                    break;
                }
            }
        } catch (IOException _) {
            // the program was killed, and its status shows that
        }
        if (over) {
            synchronized (this) {
                kill();
            }
        }
    }

    /**
     * Ends a program whose answer is complete. Meanwhile, the program's further output is discarded, so that it does
     * not block.
     */
    private static int stop(KeptProgram kept) throws InterruptedException {
        Thread.ofPlatform().daemon().start(() -> drain(kept.process().getInputStream()));
        return kept.end(KeptProgram.Ending.INTERRUPTED);
    }

    private static void drain(InputStream printed) {
        try {
            printed.transferTo(OutputStream.nullOutputStream());
        } catch (IOException _) {
            // the program has ended
        }
    }

    private static void listen(Process started, LastLines lastLines) {
        try (BufferedReader lines = started.errorReader()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                lastLines.add(line);
            }
        } catch (IOException _) {
            // the program was killed
        }
    }

    private void offer(TokenEvent event) {
        switch (event) {
            case TokenEvent.End _ -> finish(event);
            case TokenEvent.Broken(JobFailure failure) -> finish(broken(failure.code(), failure.message()));
            default -> {
                if (!over) {
                    room.acquireUninterruptibly();
                    signals.add(new Signal.Event(event));
                }
            }
        }
    }

    private TokenEvent broken(JobFailure.Code code, String what) {
        return new TokenEvent.Broken(JobFailure.of(code, title + " " + ServerErrors.shorten(what)));
    }

    private void finish(TokenEvent last) {
        if (!over) {
            over = true;
            signals.add(new Signal.Event(last));
        }
    }
}
