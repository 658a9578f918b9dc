package dev.penstock.node;

import dev.penstock.job.JobFailure;
import java.util.function.Consumer;
import org.jboss.logging.Logger;

/**
 * The one place where what a server or a program sent is handed to what reads it. Whatever that throws breaks the answer at
 * once, as no other thread would hear of it, and the job would wait. Memory that ran out is no fault of the answer: the process
 * ends then.
 */
final class Parsing {
    private static final Logger LOG = Logger.getLogger(Parsing.class);

    private Parsing() {}

    /** A step of the reading. */
    interface Step {
        void run() throws ContentDecoder.Undecodable;
    }

    /**
     * @param parser what reads it, by name
     * @param broken told why, where the step fails
     */
    static void guarded(String parser, Step step, Consumer<JobFailure> broken) {
        try {
            step.run();
        } catch (ContentDecoder.Undecodable e) {
            broken.accept(JobFailure.of(JobFailure.Code.NODE_ERROR, e.what()));
        } catch (RuntimeException | StackOverflowError e) {
            // never its message: it may quote the answer
            LOG.warnf("parser=%s failed: %s at %s", parser, e.getClass().getSimpleName(), place(e));
            broken.accept(JobFailure.of(
                    JobFailure.Code.STREAM_BROKEN, "sent what cannot be read: its parser %s failed".formatted(parser)));
        }
    }

    private static String place(Throwable e) {
        return e.getStackTrace().length == 0 ? "an unknown place" : e.getStackTrace()[0].toString();
    }
}
