package dev.penstock.node.limits;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.PriorityQueue;
import org.junit.jupiter.api.Test;

/** A server with a number of places; further requests wait in its queue. The time is the test's own. */
class AdaptiveLimitTest {
    private static final int LEAST = 2;
    private static final int MOST = 64;

    private final AdaptiveLimit limit = new AdaptiveLimit(LEAST, MOST);
    private final PriorityQueue<Request> inFlight =
            new PriorityQueue<>((one, other) -> Long.compare(one.next(), other.next()));
    private final PriorityQueue<Long> places = new PriorityQueue<>();
    private long now;
    private long sumOfLimits;
    private int looks;
    private int largest;

    /** @param spoke whether its first token has come; then the next event is its end */
    private record Request(long begun, long next, long end, boolean spoke) {}

    /** Keeps as many requests in flight as the limit allows. */
    private void play(int capacity, long prefillMillis, long answerMillis, long minutes) {
        long until = now + minutes * 60_000;
        sumOfLimits = 0;
        looks = 0;
        largest = 0;
        while (now < until) {
            while (inFlight.size() < limit.limit()) {
                while (places.size() >= capacity
                        && places.size() > 1
                        && places.peek() <= now
                        && places.size() > capacity) {
                    places.remove();
                }
                long start = places.size() < capacity ? now : Math.max(now, places.remove());
                places.add(start + prefillMillis + answerMillis);
                inFlight.add(new Request(now, start + prefillMillis, start + prefillMillis + answerMillis, false));
                limit.begun(inFlight.size());
            }
            Request next = inFlight.remove();
            now = Math.max(now, next.next());
            if (!next.spoke()) {
                limit.firstToken(next.begun(), now);
                inFlight.add(new Request(next.begun(), next.end(), next.end(), true));
            }
            sumOfLimits += limit.limit();
            looks++;
            largest = Math.max(largest, limit.limit());
        }
    }

    private double mean() {
        return (double) sumOfLimits / looks;
    }

    @Test
    void it_settles_near_the_number_of_places() {
        play(16, 200, 2_000, 10);
        play(16, 200, 2_000, 20);

        assertThat(mean()).isBetween(12.0, 20.0);
        assertThat(largest).isLessThanOrEqualTo(24);
    }

    @Test
    void it_follows_a_node_that_gets_slower_and_recovers_when_it_gets_faster() {
        play(32, 200, 2_000, 20);
        play(32, 200, 2_000, 20);
        double before = mean();

        play(8, 200, 2_000, 20);
        play(8, 200, 2_000, 20);
        assertThat(mean()).as("a quarter of the places").isBetween(5.0, 13.0);

        play(32, 200, 2_000, 30);
        play(32, 200, 2_000, 20);
        assertThat(mean()).as("all of them again").isBetween(0.75 * before, 1.25 * before);
    }

    @Test
    void it_stays_in_its_range() {
        play(1, 200, 2_000, 10);
        assertThat(limit.limit()).isBetween(LEAST, LEAST + 2);

        play(1_000, 200, 2_000, 60);
        assertThat(limit.limit()).isEqualTo(MOST);

        limit.range(1, 10);
        assertThat(limit.limit()).isEqualTo(10);
        limit.range(12, 20);
        assertThat(limit.limit()).isEqualTo(12);
    }

    @Test
    void it_does_not_rise_while_fewer_requests_than_the_limit_are_in_flight() {
        for (int i = 0; i < 1_000; i++) {
            limit.begun(1);
            limit.firstToken(i * 100L, i * 100L + 50);
        }
        assertThat(limit.limit()).isEqualTo(LEAST);
    }
}
