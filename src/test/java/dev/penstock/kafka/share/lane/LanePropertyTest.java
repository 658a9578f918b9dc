package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.PlayedCluster.Kept;
import dev.penstock.kafka.share.lane.PlayedCluster.State;
import dev.penstock.kafka.share.lane.PlayedMember.Event;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Two replicas against played brokers with seeded faults. */
class LanePropertyTest {
    private static final int PARTITIONS = 4;
    private static final int BROKERS = 3;
    private static final int FAULTS_END = 20_000;
    private static final int SEEDS = Integer.getInteger("penstock.share.seeds", 25);

    @Test
    void every_record_is_acknowledged_once_or_handed_back_whatever_the_brokers_do() {
        long adopted = 0;
        long lost = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            World world = new World(seed, 2, 1 + seed % 12, seed % 3 == 0 ? 6_000 : 1_500);
            world.produce(PARTITIONS * 40);
            world.faults();
            world.run();
            adopted += world.count(member -> member.topic.hand().counts().adopted);
            lost += world.count(member -> member.topic.hand().counts().lost);
        }
        // the faults reach the interesting paths
        assertThat(adopted).isPositive();
        assertThat(lost).isPositive();
    }

    @Test
    void without_faults_no_lock_is_lost() {
        World world = new World(1, 2, 8, 8_000);
        world.produce(100);
        world.run();
        assertThat(world.count(member -> member.topic.hand().counts().lost)).isZero();
        assertThat(world.count(member -> member.topic.hand().counts().refused)).isZero();
    }

    @Test
    void jobs_survive_the_end_of_all_connections() {
        for (int seed = 0; seed < 20; seed++) {
            World world = new World(seed, 1, 60, 8_000);
            world.produce(60);
            Random random = world.random;
            world.at(2_000, () -> {
                for (int broker = 0; broker < BROKERS; broker++) {
                    world.members
                            .getFirst()
                            .cut(broker, 5 + random.nextInt(100), random.nextInt(300), random.nextBoolean());
                }
            });
            world.run();
            assertThat(world.count(member -> member.topic.hand().counts().lost))
                    .as("seed %d", seed)
                    .isZero();
        }
    }

    private static final class World {
        final Random random;
        final PriorityQueue<Event> events = new PriorityQueue<>();
        final PlayedCluster cluster = new PlayedCluster(PARTITIONS, BROKERS);
        final List<PlayedMember> members;
        final int seed;

        World(int seed, int replicas, int room, int longestJob) {
            this.seed = seed;
            random = new Random(seed);
            members = java.util.stream.IntStream.range(0, replicas)
                    .mapToObj(i -> new PlayedMember("member-" + i, cluster, events, random, room, longestJob))
                    .toList();
        }

        void at(long time, Runnable run) {
            events.add(new Event(time, random.nextInt(1 << 20), run));
        }

        void produce(int records) {
            for (int i = 0; i < records; i++) {
                int partition = random.nextInt(PARTITIONS);
                at(random.nextInt(FAULTS_END / 2), () -> cluster.log(partition).add(new Kept(random.nextInt(15) == 0)));
            }
        }

        void faults() {
            for (int time = 0; time < FAULTS_END; time += 1 + random.nextInt(600)) {
                PlayedMember member = members.get(random.nextInt(members.size()));
                int broker = random.nextInt(BROKERS);
                int partition = random.nextInt(PARTITIONS);
                int kind = random.nextInt(8);
                int some = random.nextInt(500);
                boolean eager = random.nextBoolean();
                at(time, () -> {
                    switch (kind) {
                        case 0, 1, 2 -> member.cut(broker, 5 + some / 4, some, eager);
                        case 3 -> {
                            cluster.move(partition, broker);
                            members.forEach(each -> at(cluster.now + random.nextInt(200), each::metadata));
                        }
                        case 4 -> cluster.evict(members.indexOf(member) == 0 ? "member-0" : "member-1", broker);
                        case 5 -> member.topic.hand().room(0, random.nextInt(12) + 1);
                        // the broker frees single locks: half of a group is refused
                        default ->
                            cluster.log(partition).stream()
                                    .filter(kept -> kept.state == State.ACQUIRED && random.nextInt(3) == 0)
                                    .forEach(Kept::free);
                    }
                });
            }
        }

        void run() {
            long end = FAULTS_END + 60_000;
            while (!(cluster.now > FAULTS_END && cluster.isDone() && isAtRest())) {
                Event next = events.poll();
                assertThat(next).as("seed %d: something happens", seed).isNotNull();
                cluster.now = Math.max(cluster.now, next.at());
                next.run().run();
                members.forEach(PlayedMember::step);
                assertThat(cluster.now)
                        .as("seed %d: at rest before the end; %s", seed, left())
                        .isLessThan(end);
            }
            // no lock is left behind
            cluster.logs.values().forEach(log -> assertThat(log).allMatch(kept -> kept.state == State.DONE));
        }

        private boolean isAtRest() {
            return members.stream().allMatch(PlayedMember::isAtRest);
        }

        private String left() {
            StringBuilder left = new StringBuilder();
            cluster.logs.forEach((partition, log) -> {
                for (int offset = 0; offset < log.size(); offset++) {
                    Kept kept = log.get(offset);
                    if (kept.state != State.DONE) {
                        left.append("%d@%d %s %s ".formatted(partition, offset, kept.state, kept.owner));
                    }
                }
            });
            return left.toString();
        }

        long count(java.util.function.ToLongFunction<PlayedMember> what) {
            return members.stream().mapToLong(what).sum();
        }
    }
}
