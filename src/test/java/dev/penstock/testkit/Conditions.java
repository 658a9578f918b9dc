package dev.penstock.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/** Waits in a test until a condition holds, on the real clock. */
public final class Conditions {
    /** Long enough for a busy machine; a test whose condition holds does not wait for it. */
    private static final Duration PATIENCE = Duration.ofSeconds(40);

    private Conditions() {}

    @FunctionalInterface
    public interface Condition<E extends Exception> {
        boolean holds() throws E;
    }

    public static <E extends Exception> void await(Condition<E> condition) throws E {
        await(condition, () -> "a condition of the test");
    }

    /** @param otherwise the description of the failure if the condition never holds */
    public static <E extends Exception> void await(Condition<E> condition, Supplier<String> otherwise) throws E {
        await(condition, PATIENCE, otherwise);
    }

    /** @param what the description of the failure if the condition does not hold within the patience */
    public static <E extends Exception> void await(Condition<E> condition, Duration patience, String what) throws E {
        await(condition, patience, () -> what);
    }

    private static <E extends Exception> void await(
            Condition<E> condition, Duration patience, Supplier<String> otherwise) throws E {
        long until = System.nanoTime() + patience.toNanos();
        while (!condition.holds()) {
            assertThat(System.nanoTime() - until).as(otherwise).isNegative();
            LockSupport.parkNanos(2_000_000);
        }
    }
}
