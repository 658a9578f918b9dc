package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.PlayedCluster.Kept;
import dev.penstock.kafka.share.lane.PlayedCluster.Kind;
import dev.penstock.kafka.share.lane.PlayedCluster.State;
import dev.penstock.kafka.share.lane.PlayedMember.Event;
import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.function.ToLongFunction;
import org.junit.jupiter.api.Test;

/**
 * Replicas against played brokers with seeded faults: every record is acknowledged once, and only with a valid outcome,
 * or handed back.
 */
class LanePropertyTest {
    private static final int SEEDS = Integer.getInteger("penstock.share.seeds", 2_000);
    private static final int FIRST = Integer.getInteger("penstock.share.first-seed", 0);

    @Test
    void every_record_is_acknowledged_once_or_handed_back_whatever_the_brokers_do() {
        long adopted = 0;
        long lost = 0;
        for (int seed = FIRST; seed < FIRST + SEEDS; seed++) {
            World world = faulty(seed);
            world.run();
            adopted += world.count(member -> member.topic.hand().counts().adopted);
            lost += world.count(member -> member.topic.hand().counts().lost);
        }
        // the faults reach the interesting paths
        assertThat(adopted).isPositive();
        assertThat(lost).isPositive();
    }

    /** The run has decided that it was the only one, and then its record comes into doubt. */
    @Test
    void a_client_that_trusts_an_earlier_look_loses_jobs() {
        int seed = 0;
        boolean loses = false;
        while (!loses && seed < 5_000) {
            World world = faulty(seed++);
            world.members.forEach(member -> member.trusting = true);
            try {
                world.run();
            } catch (AssertionError e) {
                loses = String.valueOf(e.getCause()).contains("is acknowledged with a valid outcome");
            }
        }
        assertThat(loses).isTrue();
    }

    @Test
    void without_faults_no_lock_is_lost() {
        World world = new World(1, 4, 3, 2, 8, 8_000, 3_000);
        world.produce(100, 10_000);
        world.run();
        assertThat(world.count(member -> member.topic.hand().counts().lost)).isZero();
        assertThat(world.count(member -> member.topic.hand().counts().refused)).isZero();
    }

    @Test
    void no_job_starts_again_when_all_connections_end() {
        for (int seed = 0; seed < 20; seed++) {
            World world = new World(seed, 4, 3, 1, 60, 8_000, 3_000);
            world.handsBack = false;
            world.produce(60, 1_000);
            Random random = world.random;
            PlayedMember only = world.members.getFirst();
            world.at(2_000, () -> {
                for (int broker = 0; broker < 3; broker++) {
                    only.cut(broker, 5 + random.nextInt(100), random.nextInt(300), random.nextBoolean());
                }
                only.step();
            });
            world.run();
            assertThat(only.topic.hand().counts().lost).as("seed %d", seed).isZero();
            assertThat(only.starts).as("seed %d", seed).isEqualTo(world.cluster.jobs());
        }
    }

    private static World faulty(int seed) {
        Random shape = new Random(~seed);
        World world = new World(
                seed,
                1 + shape.nextInt(4),
                1 + shape.nextInt(3),
                2 + (seed % 7 == 0 ? 1 : 0),
                1 + shape.nextInt(12),
                List.of(50, 600, 4_000).get(shape.nextInt(3)),
                shape.nextInt(4) == 0 ? 1_000 : 3_000);
        world.produce(4 + shape.nextInt(16), 1_500);
        world.faults(3_000, 1 + shape.nextInt(500));
        return world;
    }

    private static final class World {
        final Random random;
        final PriorityQueue<Event> events = new PriorityQueue<>();
        final PlayedCluster cluster;
        final List<PlayedMember> members = new ArrayList<>();
        final int seed;
        final int brokers;
        boolean handsBack = true;
        private long faultsEnd;
        private long quietAt;

        World(int seed, int partitions, int brokers, int replicas, int room, int longestJob, int lock) {
            this.seed = seed;
            this.brokers = brokers;
            random = new Random(seed);
            cluster = new PlayedCluster(partitions, brokers, lock, random);
            for (int i = 0; i < replicas; i++) {
                members.add(new PlayedMember("member-" + i, cluster, events, random, room, longestJob));
            }
        }

        void at(long time, Runnable run) {
            events.add(new Event(time, random.nextInt(1 << 20), null, run));
        }

        private void soon(PlayedMember member, Runnable run) {
            member.after(random.nextInt(200), run);
        }

        void produce(int records, int within) {
            quietAt = Math.max(quietAt, cluster.now + within);
            for (int i = 0; i < records; i++) {
                at(random.nextInt(within), this::produce);
            }
        }

        private void produce() {
            int kind = random.nextInt(20);
            cluster.log(random.nextInt(cluster.leaders.size()))
                    .add(new Kept(kind == 0 ? Kind.GAP : kind == 1 ? Kind.DAMAGED : Kind.JOB));
        }

        void faults(int end, int apart) {
            faultsEnd = end;
            quietAt = Math.max(quietAt, end);
            for (int time = 0; time < end; time += 1 + random.nextInt(apart)) {
                at(time, this::fault);
            }
            at(
                    end,
                    () -> members.forEach(member -> member.after(0, () -> {
                        member.throttle = 0;
                        member.metadata();
                    })));
        }

        private void fault() {
            PlayedMember member = members.get(random.nextInt(members.size()));
            int broker = random.nextInt(brokers);
            int partition = random.nextInt(cluster.leaders.size());
            int some = random.nextInt(500);
            long until = Math.min(faultsEnd, cluster.now + some);
            boolean rare = random.nextInt(8) == 0;
            switch (random.nextInt(16)) {
                case 0, 1, 2, 3 ->
                    member.after(0, () -> member.cut(broker, 5 + some / 4, random.nextInt(500), random.nextBoolean()));
                case 4 -> move(partition, broker);
                case 5 -> cluster.evict(member.id, broker);
                case 6 -> member.after(0, () -> member.topic.hand().room(0, random.nextInt(12) + 1));
                // the broker frees single locks: half of a group is refused
                case 7, 8 ->
                    cluster.log(partition).stream()
                            .filter(kept -> kept.state == State.ACQUIRED && random.nextInt(3) == 0)
                            .forEach(Kept::free);
                case 9 -> {
                    move(partition, PlayedCluster.NO_LEADER);
                    at(until, () -> move(partition, broker));
                }
                case 10 -> cluster.stuckUntil.put(partition, until);
                case 11 -> cluster.fullUntil.put(broker, until);
                case 12 -> member.stalledUntil = cluster.now + 4L * some;
                case 13 -> member.throttle = some % 3 == 0 ? some / 2 : 0;
                case 14 -> {
                    if (rare && cluster.leaders.size() < 5) {
                        cluster.addPartition(broker);
                        at(cluster.now + some, this::produce);
                    } else if (rare) {
                        cluster.makeAnew();
                        produce(5, some + 1);
                    }
                    members.forEach(each -> soon(each, each::metadata));
                }
                case 15 -> {
                    if (rare && members.stream().filter(each -> !each.isDead()).count() > 1) {
                        member.kill();
                    } else if (rare) {
                        cluster.assignedOnly = true;
                    }
                }
                default -> throw new AssertionError();
            }
        }

        private void move(int partition, int broker) {
            cluster.move(partition, broker);
            members.forEach(each -> soon(each, each::metadata));
        }

        void run() {
            try {
                members.forEach(member -> member.handsBack = handsBack);
                members.forEach(PlayedMember::step);
                while (!(cluster.now > quietAt && cluster.isDone() && isAtRest())) {
                    Event next = events.poll();
                    assertThat(next).as("something happens").isNotNull();
                    happens(next);
                    assertThat(cluster.now)
                            .as("at rest before the end; left: %s, %s", cluster.left(), members)
                            .isLessThan(quietAt + 120_000);
                }
                cluster.jobs();
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("seed " + seed + ": -Dpenstock.share.first-seed=" + seed, e);
            }
        }

        private void happens(Event next) {
            PlayedMember member = next.member();
            if (member == null) {
                cluster.now = Math.max(cluster.now, next.at());
                next.run().run();
            } else if (member.stalledUntil > next.at() && !member.isDead()) {
                events.add(new Event(member.stalledUntil, next.number(), member, next.run()));
            } else if (!member.isDead()) {
                cluster.now = Math.max(cluster.now, next.at());
                next.run().run();
                member.step();
            }
        }

        private boolean isAtRest() {
            return members.stream().allMatch(PlayedMember::isAtRest);
        }

        long count(ToLongFunction<PlayedMember> what) {
            return members.stream().mapToLong(what).sum();
        }
    }
}
