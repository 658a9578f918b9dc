package dev.penstock.bench;

import dev.penstock.testkit.PenstockProcess;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;

/** The variants of a lane, all started and warm; closed together. */
final class RunningAll implements AutoCloseable {
    private final List<Running> all = new ArrayList<>();

    /**
     * Starts the variants one after the other.
     *
     * @param warmUp instant jobs for each, which do not count
     */
    static RunningAll start(
            Stage stage, List<Variant> variants, int warmUp, Function<Variant, PenstockProcess.Builder> builder)
            throws InterruptedException {
        RunningAll started = new RunningAll();
        try {
            for (Variant variant : variants) {
                started.all.add(Running.start(stage, variant, builder.apply(variant)));
            }
            for (Running each : started.all) {
                each.warmUp(warmUp);
            }
            return started;
        } catch (RuntimeException | InterruptedException e) {
            started.close();
            throw e;
        }
    }

    List<Running> all() {
        return Collections.unmodifiableList(all);
    }

    @Override
    public void close() {
        all.forEach(Running::close);
    }
}
