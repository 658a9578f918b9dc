package dev.penstock.bench;

import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Vitals;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** A Penstock that takes jobs, and the outcomes of its jobs. */
final class Running implements AutoCloseable {
    private final Stage stage;
    private final Variant variant;
    private final PenstockProcess process;
    private final Tally tally = new Tally();
    private final Arrivals arrivals;
    /** Sees every event before the tally. */
    private volatile Arrivals.Sink observer = (ConsumerRecord<byte[], byte[]> _, long _) -> {};

    private int warmUps;

    private Running(Stage stage, Variant variant, PenstockProcess process) {
        this.stage = stage;
        this.variant = variant;
        this.process = process;
        arrivals = Arrivals.follow(stage.bootstrap(), variant.replies(), (record, nanos) -> {
            observer.arrived(record, nanos);
            tally.arrived(record, nanos);
        });
    }

    /** @param builder the process before its start */
    static Running start(Stage stage, Variant variant, PenstockProcess.Builder builder) throws InterruptedException {
        PenstockProcess process = stage.start(variant, builder, 1);
        try {
            return new Running(stage, variant, process);
        } catch (RuntimeException e) {
            process.close();
            throw e;
        }
    }

    Variant variant() {
        return variant;
    }

    PenstockProcess process() {
        return process;
    }

    Tally tally() {
        return tally;
    }

    String group() {
        return variant.group(variant.jobs());
    }

    void observe(Arrivals.Sink newObserver) {
        observer = newObserver;
    }

    /** Returns the processor time of the process since its start, in milliseconds. */
    double cpuMillis() {
        return Vitals.cpuMillis(process.pid());
    }

    /** Runs instant jobs that do not count. */
    void warmUp(int jobs) throws InterruptedException {
        tally.reset();
        Work.instant(variant + "-warm" + warmUps++, jobs).send(stage.bootstrap(), variant.jobs(), Work.Where.EVEN);
        tally.await(jobs);
        awaitNothingLeft();
    }

    void awaitNothingLeft() throws InterruptedException {
        stage.awaitNothingLeft(group());
    }

    @Override
    public void close() {
        arrivals.close();
        process.close();
    }
}
