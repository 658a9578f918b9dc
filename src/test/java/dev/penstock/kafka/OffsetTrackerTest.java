package dev.penstock.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What a group may commit of a partition, whatever order its records end in. */
class OffsetTrackerTest {
    private static final int ROUNDS = 3_000;

    static Stream<Arguments> tables() {
        return Stream.of(
                row("nothing was read", 10, 10, 10, _ -> {}),
                row("a record is in work", 10, 11, 10, offsets -> offsets.take(10, "a")),
                row("it is done", 10, 11, 11, offsets -> done(offsets, 10)),
                row("the second is done before the first", 10, 12, 10, offsets -> {
                    offsets.take(10, "a");
                    done(offsets, 11);
                }),
                row("then the first is done", 10, 12, 12, offsets -> {
                    offsets.take(10, "a");
                    done(offsets, 11);
                    offsets.finish(10, "a");
                }),
                row("a record that is none of ours is skipped", 10, 12, 12, offsets -> {
                    offsets.skip(10);
                    offsets.skip(11);
                }),
                row("compaction left a hole before the first record", 10, 16, 15, offsets -> {
                    offsets.reach(15);
                    offsets.take(15, "a");
                }),
                row("marks of a transaction follow the last record", 10, 14, 14, offsets -> {
                    done(offsets, 10);
                    offsets.reach(14);
                }),
                row("marks follow a record in work", 10, 14, 10, offsets -> {
                    offsets.take(10, "a");
                    offsets.reach(14);
                }),
                row("records are done behind a head that is not due", 10, 10, 10, offsets -> {
                    done(offsets, 11);
                    done(offsets, 13);
                }),
                row("the head is done too: up to the first that was not taken", 10, 12, 12, offsets -> {
                    done(offsets, 11);
                    done(offsets, 13);
                    done(offsets, 10);
                }),
                row("the hole between them was read", 10, 14, 14, offsets -> {
                    done(offsets, 11);
                    done(offsets, 13);
                    done(offsets, 10);
                    offsets.reach(13);
                }),
                row("one behind the head is in work", 10, 12, 11, offsets -> {
                    offsets.take(11, "b");
                    done(offsets, 10);
                }),
                row("a record that is taken again counts once", 10, 11, 10, offsets -> {
                    offsets.take(10, "a");
                    offsets.take(10, "again");
                    offsets.finish(10, "a");
                }),
                row("an end that is reported twice changes nothing", 10, 12, 11, offsets -> {
                    done(offsets, 10);
                    offsets.take(11, "b");
                    offsets.finish(10, "10");
                }),
                row(
                        "an end of a record that was never taken changes nothing",
                        10,
                        10,
                        10,
                        offsets -> offsets.finish(12, "a")),
                row("the reader was here before", 10, 12, 12, offsets -> {
                    done(offsets, 10);
                    done(offsets, 11);
                    offsets.reach(5);
                }));
    }

    private static Arguments row(
            String what, long position, long next, long committable, Consumer<OffsetTracker<String>> steps) {
        return Arguments.of(what, position, next, committable, steps);
    }

    private static void done(OffsetTracker<String> offsets, long offset) {
        offsets.take(offset, Long.toString(offset));
        offsets.finish(offset, Long.toString(offset));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("tables")
    void what_may_be_committed(
            String what, long position, long next, long committable, Consumer<OffsetTracker<String>> steps) {
        OffsetTracker<String> offsets = new OffsetTracker<>(position);

        steps.accept(offsets);

        assertThat(offsets.next()).as("%s: next", what).isEqualTo(next);
        assertThat(offsets.committable()).as(what).isEqualTo(committable);
    }

    @Test
    void what_was_taken_is_known() {
        OffsetTracker<String> offsets = new OffsetTracker<>(10);
        offsets.take(10, "a");
        offsets.take(12, "c");
        offsets.skip(14);

        assertThat(Stream.of(9L, 10L, 11L, 12L, 13L, 14L, 15L).filter(offsets::isTaken))
                .containsExactly(9L, 10L, 12L, 14L);
        assertThat(offsets.takenEarly()).isEqualTo(2);
        assertThat(offsets.unfinished()).containsExactly("a", "c");
        assertThat(offsets.isUnfinished(12, "c")).isTrue();
        assertThat(offsets.isUnfinished(12, "a")).isFalse();
        assertThat(offsets.isUnfinished(13, "c")).isFalse();
        offsets.reach(13);
        assertThat(offsets.takenEarly()).as("13 was not taken").isEqualTo(1);
        assertThat(offsets.next()).isEqualTo(13);
        offsets.reach(14);
        assertThat(offsets.takenEarly()).as("all are passed").isZero();
        assertThat(offsets.next()).isEqualTo(15);
    }

    @Test
    void a_commit_is_due_once_and_again_after_it_failed() {
        OffsetTracker<String> offsets = new OffsetTracker<>(10);
        assertThat(offsets.due()).as("the group may have committed nothing yet").isEqualTo(OptionalLong.of(10));
        offsets.committed(10);
        assertThat(offsets.due()).isEmpty();

        done(offsets, 10);
        assertThat(offsets.due()).isEqualTo(OptionalLong.of(11));
        offsets.committed(11);
        offsets.take(11, "b");
        assertThat(offsets.due()).isEmpty();
        offsets.commitFailed();

        assertThat(offsets.due()).isEqualTo(OptionalLong.of(11));
    }

    /** A partition: offsets with and without a record, and what a group does with it. */
    private static final class Played {
        private final Random random;
        private final long end;
        /** The offsets that have a record. */
        private final TreeSet<Long> records = new TreeSet<>();

        private final TreeSet<Long> done = new TreeSet<>();
        private final TreeMap<Long, String> working = new TreeMap<>();
        private OffsetTracker<String> offsets;
        private long position;
        private boolean ahead;
        private long committed;
        private int deliveries;

        Played(long seed) {
            random = new Random(seed);
            end = 1L + random.nextInt(40);
            for (long offset = 0; offset < end; offset++) {
                // compaction and aborted transactions
                if (random.nextInt(4) > 0) {
                    records.add(offset);
                }
            }
            offsets = new OffsetTracker<>(0);
        }

        void step() {
            switch (random.nextInt(12)) {
                case 0 -> ahead = true;
                case 1 -> {
                    // the head is due, or more may be taken early
                    ahead &= random.nextBoolean();
                    position = offsets.next();
                }
                case 2 -> {
                    if (random.nextInt(8) == 0) {
                        revoke();
                    }
                }
                case 3, 4, 5, 6 -> read();
                default -> finish();
            }
            check();
        }

        /** As a poll: a few offsets, and then the position behind them. */
        private void read() {
            long until = Math.min(end, position + 1 + random.nextInt(4));
            for (; position < until; position++) {
                if (!records.contains(position)) {
                    continue;
                }
                if (offsets.isTaken(position)) {
                    reach(position);
                } else if (!ahead || random.nextInt(3) == 0) {
                    reach(position);
                    take(position);
                }
            }
            reach(position);
        }

        private void reach(long offset) {
            if (!ahead) {
                offsets.reach(offset);
            }
        }

        private void take(long offset) {
            assertThat(done)
                    .as("a record that this owner or one before it committed")
                    .noneMatch(other -> other == offset && other < committed);
            assertThat(working).as("a record is in work once").doesNotContainKey(offset);
            if (random.nextInt(6) == 0) {
                offsets.skip(offset);
                done.add(offset);
            } else {
                String record = offset + "#" + deliveries++;
                offsets.take(offset, record);
                working.put(offset, record);
            }
        }

        private void finish() {
            if (!working.isEmpty()) {
                List<Long> all = List.copyOf(working.keySet());
                long offset = all.get(random.nextInt(all.size()));
                String record = Objects.requireNonNull(working.remove(offset));
                offsets.finish(offset, "a stale one");
                offsets.finish(offset, record);
                done.add(offset);
            }
        }

        /** The next owner begins where this one has committed. */
        private void revoke() {
            commit();
            working.clear();
            offsets = new OffsetTracker<>(committed);
            position = committed;
            ahead = false;
        }

        private void commit() {
            offsets.due().ifPresent(offset -> {
                assertThat(offset).as("a commit never goes back").isGreaterThanOrEqualTo(committed);
                committed = offset;
                offsets.committed(offset);
            });
        }

        private void check() {
            if (random.nextInt(3) == 0) {
                commit();
            }
            long unfinished = records.stream()
                    .filter(offset -> !done.contains(offset))
                    .findFirst()
                    .orElse(end);
            assertThat(offsets.committable()).isLessThanOrEqualTo(unfinished);
            assertThat(offsets.unfinished()).isEqualTo(new ArrayList<>(working.values()));
            assertThat(offsets.size()).isEqualTo(working.size());
        }

        void finishAll() {
            ahead = false;
            position = offsets.next();
            while (position < end) {
                read();
                check();
            }
            while (!working.isEmpty()) {
                finish();
                check();
            }
            commit();
        }
    }

    /** Deliveries, ends, revocations and holes in any order. */
    @Test
    void a_commit_never_passes_an_unfinished_record_and_reaches_the_end() {
        for (long seed = 0; seed < ROUNDS; seed++) {
            Played played = new Played(seed);
            for (int step = 0; step < 60; step++) {
                played.step();
            }
            played.finishAll();
            assertThat(played.committed).as("seed %d", seed).isEqualTo(played.end);
            assertThat(played.done).as("seed %d", seed).containsAll(played.records);
            assertThat(played.offsets.takenEarly()).as("seed %d", seed).isZero();
        }
    }
}
