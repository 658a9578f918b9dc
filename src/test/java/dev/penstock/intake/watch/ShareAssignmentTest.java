package dev.penstock.intake.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.intake.record.PausedTime;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeShareGroupsResult;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.clients.admin.ShareMemberAssignment;
import org.apache.kafka.clients.admin.ShareMemberDescription;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.CoordinatorNotAvailableException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.internals.KafkaFutureImpl;
import org.junit.jupiter.api.Test;

class ShareAssignmentTest {
    private static final String GROUP = "penstock.jobs";

    private final Settings settings = TestSettings.ofFile(Map.of("penstock.intake.topics[0].name", "jobs"));
    private final PausedTime time = new PausedTime();
    private final Warnings warnings = new Warnings();
    private final ShareAssignment assignment = new ShareAssignment(settings, time, warnings);
    private final AtomicInteger questions = new AtomicInteger();

    @Test
    void a_group_that_gets_no_partition_for_longer_than_15_s_is_a_warning_until_it_gets_one() throws Exception {
        Admin broker = broker(described(Set.of()));
        time.advance(Duration.ofSeconds(15));
        assignment.check(broker, true);
        assertThat(warnings.all()).isEmpty();

        time.advance(Duration.ofSeconds(1));
        assignment.check(broker, true);
        assertThat(warnings.all()).containsOnlyKeys("assignment");
        assertThat(warnings.all().get("assignment"))
                .startsWith("the broker has assigned no partition to the share groups [penstock.jobs] for 15 s")
                .contains("share.coordinator.state.topic.replication.factor=1");

        assignment.check(broker(described(Set.of(new TopicPartition("jobs", 0)))), true);
        assertThat(warnings.all()).isEmpty();
    }

    @Test
    void once_each_group_has_partitions_the_broker_is_not_asked_again() throws Exception {
        Admin broker = broker(described(Set.of(new TopicPartition("jobs", 0))));
        assignment.check(broker, true);
        assignment.check(broker, true);

        assertThat(questions).hasValue(1);
    }

    @Test
    void a_group_that_does_not_exist_has_no_partitions() throws Exception {
        KafkaFutureImpl<ShareGroupDescription> unknown = new KafkaFutureImpl<>();
        unknown.completeExceptionally(new GroupIdNotFoundException(GROUP));
        time.advance(Duration.ofSeconds(16));
        assignment.check(broker(unknown), true);

        assertThat(warnings.all()).containsOnlyKeys("assignment");
    }

    @Test
    void nothing_is_known_while_the_broker_does_not_answer() {
        KafkaFutureImpl<ShareGroupDescription> away = new KafkaFutureImpl<>();
        away.completeExceptionally(new CoordinatorNotAvailableException("elected"));
        time.advance(Duration.ofSeconds(16));

        assertThatThrownBy(() -> assignment.check(broker(away), true)).isInstanceOf(ExecutionException.class);
        assertThat(warnings.all()).isEmpty();
    }

    @Test
    void the_wait_begins_anew_when_a_node_is_up_again() throws Exception {
        Admin broker = broker(described(Set.of()));
        time.advance(Duration.ofSeconds(60));
        assignment.check(broker, false);
        assertThat(questions).as("a replica without nodes asks for no jobs").hasValue(0);

        time.advance(Duration.ofSeconds(15));
        assignment.check(broker, true);
        assertThat(warnings.all()).isEmpty();
    }

    private Admin broker(KafkaFutureImpl<ShareGroupDescription> group) {
        return (Admin) Proxy.newProxyInstance(Admin.class.getClassLoader(), new Class<?>[] {Admin.class}, (_, _, _) -> {
            questions.incrementAndGet();
            return new DescribeShareGroupsResult(Map.of(GROUP, group));
        });
    }

    private static KafkaFutureImpl<ShareGroupDescription> described(Set<TopicPartition> partitions) {
        KafkaFutureImpl<ShareGroupDescription> described = new KafkaFutureImpl<>();
        described.complete(new ShareGroupDescription(
                GROUP,
                List.of(new ShareMemberDescription(
                        "member", Optional.empty(), "client", "host", new ShareMemberAssignment(partitions), 1)),
                GroupState.STABLE,
                Node.noNode(),
                1,
                1));
        return described;
    }
}
