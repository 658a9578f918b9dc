package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Tests each replica's share of a node. */
class ReplicasTest {
    private static final List<String> NODES = List.of("gpu-a", "gpu-b", "cpu-a", "ollama", "vllm", "n");

    private static List<Replicas> replicas(int count) {
        List<String> members = IntStream.range(0, count)
                .mapToObj(i -> "penstock-ledger-" + Integer.toHexString(i * 7919))
                .toList();
        return members.stream().map(own -> new Replicas(members, own)).toList();
    }

    @Test
    void together_they_take_the_limit_and_none_takes_more_than_one_more_than_another() {
        for (int count = 1; count <= 17; count++) {
            for (int limit = count; limit <= 100; limit++) {
                for (String node : NODES) {
                    int ofAll = limit;
                    List<Integer> shares = replicas(count).stream()
                            .map(replica -> replica.share(node, ofAll))
                            .toList();

                    assertThat(shares.stream().mapToInt(Integer::intValue).sum())
                            .as("%d replicas, node %s", count, node)
                            .isEqualTo(limit);
                    assertThat(shares)
                            .allSatisfy(share ->
                                    assertThat(share).isBetween(ofAll / shares.size(), ofAll / shares.size() + 1));
                }
            }
        }
    }

    @Test
    void more_replicas_than_the_limit_take_one_each() {
        for (Replicas replica : replicas(5)) {
            assertThat(replica.share("gpu-a", 3)).isEqualTo(1);
            assertThat(replica.exceed(3)).isTrue();
            assertThat(replica.exceed(5)).isFalse();
        }
    }

    @Test
    void the_remainder_goes_to_another_replica_at_another_node() {
        Set<Integer> favoured = new HashSet<>();
        for (String node : NODES) {
            List<Replicas> all = replicas(3);
            IntStream.range(0, 3).filter(i -> all.get(i).share(node, 10) == 4).forEach(favoured::add);
        }

        assertThat(new TreeSet<>(favoured)).hasSizeGreaterThan(1);
    }

    @Test
    void the_order_in_which_the_broker_names_them_changes_nothing() {
        List<String> members = List.of("c", "a", "b");

        assertThat(new Replicas(members, "b")).isEqualTo(new Replicas(members.reversed(), "b"));
    }

    @Test
    void who_is_about_to_join_counts_itself_and_takes_no_remainder() {
        Replicas joining = new Replicas(List.of("a", "b"), "");

        assertThat(joining.share("gpu-a", 11)).isEqualTo(3);
        assertThat(Replicas.ALONE.share("gpu-a", 11)).isEqualTo(11);
    }
}
