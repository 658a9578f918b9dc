package dev.penstock.node.http;

import dev.penstock.job.JobFailure;
import java.util.function.Consumer;
import org.jboss.logging.Logger;

/**
 * Runs the parsers of everything that servers and programs send. If a parser throws an exception, the answer fails at
 * once. Otherwise no thread would notice the exception, and the job would wait. OutOfMemoryError is not caught, because
 * it is not the answer's fault; it ends the process.
 */
public final class Parsing {
    private static final Logger LOG = Logger.getLogger(Parsing.class);

    private Parsing() {}

    /** A step of a parser. */
    public interface Step {
        void run() throws ContentDecoder.Undecodable;
    }

    /**
     * @param parser the parser's name
     * @param broken receives the failure if the step throws an exception
     */
    public static void guarded(String parser, Step step, Consumer<JobFailure> broken) {
        try {
            step.run();
        } catch (ContentDecoder.Undecodable e) {
            broken.accept(JobFailure.of(JobFailure.Code.NODE_ERROR, e.what()));
        } catch (RuntimeException | StackOverflowError e) {
            // leaves out the exception's message, because it may quote the answer
            LOG.warnf("parser=%s failed: %s at %s", parser, e.getClass().getSimpleName(), place(e));
            broken.accept(JobFailure.of(
                    JobFailure.Code.STREAM_BROKEN, "sent what cannot be read: its parser %s failed".formatted(parser)));
        }
    }

    private static String place(Throwable e) {
        return e.getStackTrace().length == 0 ? "an unknown place" : e.getStackTrace()[0].toString();
    }
}
