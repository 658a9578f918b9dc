package dev.penstock.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

/**
 * An example as a consumer group. Its members are processes that print a line of JSON for each outcome that they
 * handle.
 */
public final class ExampleGroup implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private final String name;
    private final List<String> command;
    private final Admin admin;
    private final List<ChildProcess> members = new ArrayList<>();

    /** @param program takes {@code --bootstrap} and {@code --group} */
    public ExampleGroup(String name, List<String> program, Broker broker) {
        this.name = name;
        command = new ArrayList<>(program);
        command.addAll(List.of("--bootstrap", broker.bootstrap(), "--group", name));
        admin = broker.admin();
    }

    /** Starts a member. */
    public void start() {
        members.add(ChildProcess.start("example-" + name, command, Map.of()));
    }

    public void killFirst() {
        members.getFirst().kill9();
    }

    /** Asks the youngest member to end, and waits until it has. */
    public void stopLast() throws InterruptedException {
        members.getLast().terminate();
        if (members.getLast().awaitExit(PATIENCE).isEmpty()) {
            throw members.getLast().failure("goes on after SIGTERM");
        }
    }

    /** Waits until the group has this number of members, each with partitions. */
    public void awaitMembers(int count) throws InterruptedException {
        await(() -> hasMembers(count), count + " members");
    }

    private boolean hasMembers(int count) throws InterruptedException, ExecutionException {
        ConsumerGroupDescription group = Objects.requireNonNull(
                admin.describeConsumerGroups(List.of(name)).all().get().get(name));
        return group.groupState() == GroupState.STABLE
                && group.members().size() == count
                && group.members().stream()
                        .noneMatch(
                                member -> member.assignment().topicPartitions().isEmpty());
    }

    /** Waits until every one of these ids is handled. */
    public void awaitHandled(Collection<String> ids) throws InterruptedException {
        await(() -> handled().keySet().containsAll(ids), "to handle " + ids);
    }

    /** Waits until every record of the topic is committed. */
    public void awaitCommitted(String topic) throws InterruptedException {
        await(() -> lag(topic) == 0, "to commit the end of " + topic);
    }

    private long lag(String topic) throws InterruptedException, ExecutionException {
        var description =
                admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        Map<TopicPartition, OffsetSpec> latest = Objects.requireNonNull(description).partitions().stream()
                .collect(Collectors.toMap(
                        partition -> new TopicPartition(topic, partition.partition()), _ -> OffsetSpec.latest()));
        var committed = admin.listConsumerGroupOffsets(name)
                .partitionsToOffsetAndMetadata()
                .get();
        return admin.listOffsets(latest).all().get().entrySet().stream()
                .mapToLong(end -> {
                    var at = committed.get(end.getKey());
                    return end.getValue().offset() - (at == null ? 0 : at.offset());
                })
                .sum();
    }

    /** Returns the printed lines for each id, without log lines. A repeated line counts once. */
    public Map<String, Set<JsonNode>> handled() {
        Map<String, Set<JsonNode>> handled = new HashMap<>();
        members.stream()
                .flatMap(member -> member.output().stream())
                .filter(line -> line.startsWith("{\"id\":"))
                .map(line -> Objects.requireNonNull(Json.parseLenient(line)))
                .forEach(line -> handled.computeIfAbsent(line.path("id").asText(), _ -> new LinkedHashSet<>())
                        .add(line));
        return handled;
    }

    private interface Condition {
        boolean holds() throws InterruptedException, ExecutionException;
    }

    private void await(Condition condition, String what) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        try {
            while (!condition.holds()) {
                if (System.nanoTime() > until) {
                    throw new AssertionError("%s: waited for %s for %s; printed: %s"
                            .formatted(
                                    name,
                                    what,
                                    PATIENCE,
                                    members.stream().map(ChildProcess::output).toList()));
                }
                Thread.sleep(50);
            }
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    @Override
    public void close() {
        members.forEach(ChildProcess::close);
        admin.close();
    }

    @Override
    public String toString() {
        return name;
    }
}
