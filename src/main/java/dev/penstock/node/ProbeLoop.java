package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.node.signals.Scrape;
import dev.penstock.thread.SupervisedThread;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jboss.logging.Logger;

/**
 * Probes one node until it drains or the service ends, on a thread of its own. Between two probes of a node that is up, it
 * asks the node's server for its load.
 */
final class ProbeLoop {
    private static final Logger LOG = Logger.getLogger(ProbeLoop.class);
    private static final Duration PROBE_WHEN_UP = Duration.ofSeconds(10);
    private static final Duration PROBE_WHEN_DOWN = Duration.ofSeconds(1);
    private static final Duration SCRAPE = Duration.ofSeconds(2);

    private final Node node;
    private final BooleanSupplier closed;
    private final SupervisedThread thread;
    /** Whether a lack of signals was logged. Owned by the loop's thread. */
    private boolean hasLogged;

    ProbeLoop(Node node, BooleanSupplier closed) {
        this.node = node;
        this.closed = closed;
        thread = SupervisedThread.ofVirtual("penstock-probe-" + node.name(), this::run, () -> {});
    }

    void start() {
        thread.start();
    }

    private void run() throws InterruptedException {
        while (!closed.getAsBoolean() && node.health().state() != Node.State.DRAINING) {
            probe();
            pause(node.health().state() == Node.State.UP ? PROBE_WHEN_UP : PROBE_WHEN_DOWN);
        }
    }

    /** Probes the node once. If the server's answer causes an exception, the node is down until the next probe. */
    void probe() throws InterruptedException {
        try {
            node.probe();
        } catch (RuntimeException | StackOverflowError _) {
            // do not log the exception's message: it may contain a header
            String what = "its answer to a probe cannot be read";
            LOG.debugf("node=%s %s", node.name(), what);
            node.refused(JobFailure.of(JobFailure.Code.NODE_ERROR, what));
        }
    }

    /**
     * Waits in short steps, and ends the wait when the node's state changes. So a node that went down is probed again
     * soon.
     */
    private void pause(Duration wait) throws InterruptedException {
        long until = System.nanoTime() + wait.toNanos();
        long scrapeAt = System.nanoTime();
        Node.State state = node.health().state();
        while (!closed.getAsBoolean()
                && System.nanoTime() < until
                && node.health().state() == state) {
            if (System.nanoTime() >= scrapeAt) {
                scrapeAt += SCRAPE.toNanos();
                scrape();
            }
            LockSupport.parkNanos(Math.min(PROBE_WHEN_DOWN.toNanos(), until - System.nanoTime()));
        }
    }

    /** Asks the server for its load. A failure changes nothing but the age of the figures, and only the first is logged. */
    void scrape() throws InterruptedException {
        if (node.health().state() != Node.State.UP) {
            return;
        }
        int own = node.inFlight();
        Scrape scrape;
        try {
            scrape = node.upstream().scrape();
        } catch (RuntimeException | StackOverflowError _) {
            scrape = new Scrape.Failed("its answer cannot be read");
        }
        switch (scrape) {
            case Scrape.Seen seen -> {
                node.requests().seen(seen, own);
                seen.signals().loaded().ifPresent(node::loaded);
            }
            case Scrape.Failed(String why) -> {
                node.requests().notSeen();
                if (!hasLogged) {
                    hasLogged = true;
                    LOG.infof("node=%s shows no load, so only Penstock's own counters count: %s", node.name(), why);
                }
            }
            case Scrape.None() -> {}
        }
    }
}
