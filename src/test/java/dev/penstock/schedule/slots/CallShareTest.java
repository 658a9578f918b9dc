package dev.penstock.schedule.slots;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How many slots of a node are kept for calls, and whose turn it is. */
class CallShareTest {
    @ParameterizedTest(name = "{0} of {1} slots: {2}")
    @CsvSource({
        "0.25, 4, 1",
        "0.25, 5, 2",
        "0.25, 64, 16",
        "0.25, 2, 1",
        "0.25, 1, 0",
        "0.1, 10, 1",
        "0.1, 30, 3",
        "0.07, 100, 7",
        "0, 4, 0",
        "1, 4, 3",
        "1, 2, 1",
        "0.01, 4, 1",
        "0.99, 4, 3"
    })
    void it_is_rounded_up_and_leaves_the_jobs_a_slot(double share, int slots, int kept) {
        assertThat(new CallShare(share).kept(slots)).isEqualTo(kept);
    }

    @ParameterizedTest(name = "{0} of {1} slots, {2} calls run, the latest was a call: {3}")
    @CsvSource({
        "0.25, 4, 0, true, true",
        "0.25, 4, 1, false, false",
        "0.25, 8, 1, true, true",
        "0.25, 1, 0, false, true",
        "0.25, 1, 0, true, false",
        "0, 1, 0, false, false",
        "0, 8, 0, false, false"
    })
    void a_call_goes_next_below_the_share_and_after_a_job_at_a_node_with_one_slot(
            double share, int slots, int calls, boolean lastWasCall, boolean isForCalls) {
        assertThat(new CallShare(share).isForCalls(slots, calls, lastWasCall)).isEqualTo(isForCalls);
    }
}
